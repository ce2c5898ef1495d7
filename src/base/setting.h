/*-------------------------------------------------------------------------
 *
 * setting.h
 *	  The server's settings, by name, and what may set them.
 *
 * IDENTIFICATION
 *	  src/base/setting.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SETTING_H
#define JOBQ_SETTING_H

#include "utils/guc_tables.h"

/* A setting of that type, NULL if this version of the server has none. */
extern struct config_generic *jobq_setting_find(const char *name,
												enum config_type type);

/*
 * For a check hook, which then returns false: the setting must not be set in a
 * security-restricted operation.
 */
extern void jobq_setting_refuse(const char *name);

/*
 * From now on, for the rest of the process's life, to set what can end the session
 * raises 42501 while refused() is true.
 */
extern void jobq_setting_watch_exits(bool (*refused) (void));

#endif							/* JOBQ_SETTING_H */
