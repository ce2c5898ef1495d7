/*-------------------------------------------------------------------------
 *
 * dependents.h
 *	  What depends on objects in the session's temporary schema.
 *
 * IDENTIFICATION
 *	  src/base/dependents.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_DEPENDENTS_H
#define JOBQ_DEPENDENTS_H

/*
 * Raises 42501 if a command of this transaction, since the one given, has made an
 * object depend on a temporary one of the session.
 */
extern void jobq_dependents_refuse(CommandId since);

#endif							/* JOBQ_DEPENDENTS_H */
