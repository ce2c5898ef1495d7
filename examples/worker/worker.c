/*-------------------------------------------------------------------------
 *
 * worker.c
 *	  An external worker: takes jobs from a queue and works them outside the
 *	  server.  Here the work is to count the words of a text.
 *
 *	  usage: worker QUEUE
 *
 * The connection is the one that libpq's environment variables name.  The
 * worker ends on SIGINT and SIGTERM, after the jobs that it has begun, and if
 * the connection is lost; the service manager starts it again.
 *
 * It polls nothing.  It listens to the queue's channel, dequeues until there
 * is nothing left, and then sleeps until the connection's socket has
 * something to read.  Listening comes before the first look at the queue, so
 * that no job can come in between.  Jobs that were delayed, that failed or
 * whose holder has died are announced, too, when they are ready.
 *
 *-------------------------------------------------------------------------
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <libpq-fe.h>

/* How many jobs are claimed at a time, under one lease. */
#define BATCH "10"

/* A notification is a hint: look now and then without one. */
#define LOOK_ANYWAY_MS 60000

/* Columns of what jobq.dequeue() gives us; all are text. */
enum
{
	COL_ID,
	COL_LEASE,
	COL_ATTEMPT,
	COL_TEXT					/* NULL if the payload has none */
};

/* Signals write a byte here, so that poll() returns. */
static int	wake_pipe[2];
static volatile sig_atomic_t stopping = 0;

static void
handle_stop(int signo)
{
	int			saved_errno = errno;

	(void) signo;
	stopping = 1;
	if (write(wake_pipe[1], "", 1) < 0)
	{
		/* it is full: poll() returns anyway */
	}
	errno = saved_errno;
}

static void
die(const char *what, const char *why)
{
	fprintf(stderr, "worker: %s: %s\n", what, why);
	exit(1);
}

static void
catch_signals(void)
{
	struct sigaction action;

	if (pipe(wake_pipe) != 0 ||
		fcntl(wake_pipe[0], F_SETFL, O_NONBLOCK) != 0 ||
		fcntl(wake_pipe[1], F_SETFL, O_NONBLOCK) != 0)
		die("pipe", strerror(errno));
	memset(&action, 0, sizeof(action));
	action.sa_handler = handle_stop;
	action.sa_flags = SA_RESTART;
	sigemptyset(&action.sa_mask);
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
}

/*
 * Runs a statement.  Errors of SQL are given to the caller in the result; a
 * connection that is gone is the end.
 */
static PGresult *
run(PGconn *conn, const char *sql, int nparams, const char *const *params)
{
	PGresult   *result = PQexecParams(conn, sql, nparams, NULL, params, NULL,
									  NULL, 0);

	if (PQstatus(conn) != CONNECTION_OK)
		die("connection lost", PQerrorMessage(conn));
	return result;
}

/* The same where an error leaves nothing to be done. */
static PGresult *
require(PGconn *conn, const char *sql, int nparams, const char *const *params)
{
	PGresult   *result = run(conn, sql, nparams, params);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die(sql, PQerrorMessage(conn));
	return result;
}

/* The work.  Returns NULL, or what is wrong with the job. */
static const char *
count_words(const char *text, char *json, size_t size)
{
	int			words = 0;
	bool		inside = false;

	if (text == NULL)
		return "the payload has no \"text\"";
	for (const unsigned char *c = (const unsigned char *) text; *c != '\0'; c++)
	{
		if (!isspace(*c) && !inside)
			words++;
		inside = !isspace(*c);
	}
	snprintf(json, size, "{\"words\": %d}", words);
	return NULL;
}

/*
 * Works one job and says how it went.  If the lease is lost (JQ001) somebody
 * else has the job by now, or it was cancelled, and there is nothing to undo.
 * Work that takes longer than the lease has to call jobq.heartbeat() at times.
 */
static void
work(PGconn *conn, const char *id, const char *lease, const char *attempt,
	 const char *text)
{
	char		json[64];
	const char *problem = count_words(text, json, sizeof(json));
	const char *params[3] = {id, lease, problem == NULL ? json : problem};
	PGresult   *result;

	result = run(conn, problem == NULL ?
				 "SELECT jobq.complete($1, $2, $3)" :
				 "SELECT jobq.fail($1, $2, $3)", 3, params);
	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		fprintf(stderr, "worker: job %s: %s", id, PQerrorMessage(conn));
	else
		printf("job %s, attempt %s: %s\n", id, attempt, params[2]);
	PQclear(result);
}

/* Works until the queue has no ready job. */
static void
work_all(PGconn *conn, const char *queue)
{
	int			njobs = 1;

	while (njobs > 0 && !stopping)
	{
		PGresult   *jobs;

		jobs = require(conn, "SELECT id, lease, attempt, payload->>'text'"
					   " FROM jobq.dequeue($1, " BATCH ")", 1, &queue);
		njobs = PQntuples(jobs);
		for (int i = 0; i < njobs; i++)
			work(conn, PQgetvalue(jobs, i, COL_ID),
				 PQgetvalue(jobs, i, COL_LEASE),
				 PQgetvalue(jobs, i, COL_ATTEMPT),
				 PQgetisnull(jobs, i, COL_TEXT) ? NULL :
				 PQgetvalue(jobs, i, COL_TEXT));
		PQclear(jobs);
	}
	fflush(stdout);
}

/* Takes notifications off the connection; true if there were any. */
static bool
notified(PGconn *conn)
{
	PGnotify   *notify;
	bool		any = false;

	if (!PQconsumeInput(conn))
		die("connection lost", PQerrorMessage(conn));
	while ((notify = PQnotifies(conn)) != NULL)
	{
		any = true;
		PQfreemem(notify);
	}
	return any;
}

/* Sleeps until there may be jobs, or somebody wants us to stop. */
static void
wait_for_jobs(PGconn *conn)
{
	/* what came while we worked was read then, and poll() knows nothing of it */
	while (!stopping && !notified(conn))
	{
		struct pollfd fds[2];
		int			nready;

		fds[0].fd = PQsocket(conn);
		fds[0].events = POLLIN;
		fds[1].fd = wake_pipe[0];
		fds[1].events = POLLIN;
		nready = poll(fds, 2, LOOK_ANYWAY_MS);
		if (nready < 0 && errno != EINTR)
			die("poll", strerror(errno));
		if (nready == 0)
			break;
	}
}

int
main(int argc, char **argv)
{
	const char *queue = argv[1];
	PGconn	   *conn;

	if (argc != 2)
	{
		fprintf(stderr, "usage: worker QUEUE\n");
		return 2;
	}
	catch_signals();
	conn = PQconnectdb("fallback_application_name=worker");
	if (PQstatus(conn) != CONNECTION_OK)
		die("cannot connect", PQerrorMessage(conn));

	PQclear(require(conn, "SELECT jobq.listen($1)", 1, &queue));
	printf("listening for jobs in queue \"%s\"\n", queue);
	while (!stopping)
	{
		work_all(conn, queue);
		wait_for_jobs(conn);
	}
	PQfinish(conn);
	return 0;
}
