/*-------------------------------------------------------------------------
 *
 * session.h
 *	  The session in which an executor runs jobs.
 *
 * IDENTIFICATION
 *	  bgworker/executor/session.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_SESSION_H
#define JOBQ_SESSION_H

extern void jobq_session_set_up(Oid role);

/*
 * Whether transactions are read-only by default because of the database or the
 * server, not the role.
 */
extern bool jobq_session_is_frozen(void);

/* Around a job's own code, in its subtransaction. */
extern int	jobq_session_begin_settings(void);
extern void jobq_session_end_settings(int level);

/* In a transaction, after a job's own code and before bookkeeping. */
extern void jobq_session_reset(void);
extern void jobq_session_tidy(bool objects);

/*
 * From now on, session-bound claims are those of a job and end with it; the
 * lease is the executor's own (0: none).  Returns whether there are any.
 */
extern void jobq_session_watch_claims(int64 own_lease);
extern bool jobq_session_has_claims(void);

/* After a job's own code, whatever came of it. */
extern void jobq_session_restore_signals(void);
extern bool jobq_session_must_end(void);

/* After the transaction. */
extern void jobq_session_release(void);

/* Whether a query cancel is acted upon; only while a job's own code runs. */
extern void jobq_session_allow_cancel(void);
extern void jobq_session_forbid_cancel(void);

/* In PG_CATCH: logs an error of jobq's own code, and rolls back. */
extern void jobq_session_log_error(void);

extern void jobq_session_drop_cancel(bool was_sent);
extern void jobq_session_drop_lock_timeout(void);

#endif							/* JOBQ_SESSION_H */
