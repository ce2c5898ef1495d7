/*-------------------------------------------------------------------------
 *
 * wake.c
 *	  How long after the commit of a job does a client know of it, and how
 *	  long until it has got it?
 *
 *	  usage: wake JOBS LISTEN ENQUEUE WAIT CLAIM
 *
 * All but the first are SQL.  A producer runs ENQUEUE in a transaction, JOBS
 * times, 5 to 30 ms apart.  A consumer, which has run LISTEN once, waits in
 * WAIT (if that is empty: for a notification), and then runs CLAIM, which
 * returns a row if it got a job.
 *
 * Prints for each job the milliseconds from right before COMMIT was sent to
 * when the consumer was awake, and to when it had the job.  The producer has
 * synchronous_commit off, since nobody can know of a job before its commit is
 * flushed, and how long that takes is the disk's business.
 *
 * The connections are those that libpq's environment variables name.
 *
 *-------------------------------------------------------------------------
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

/* For how long a job may be on its way. */
#define LIMIT_S 20

typedef struct Consumer
{
	PGconn	   *conn;
	const char *wait;
	double		awake;			/* when it knew of the last job */
	double		got;			/* when it had it */
	sem_t		has_job;		/* the two above are those of a new job */
} Consumer;

static void
fail(const char *format,...)
{
	va_list		args;

	fputs("wake: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static double
now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1e3 + t.tv_nsec / 1e6;
}

static PGconn *
connect_to_server(void)
{
	PGconn	   *conn = PQconnectdb("");

	if (PQstatus(conn) != CONNECTION_OK)
		fail("%s", PQerrorMessage(conn));
	return conn;
}

/* Check a result, and return how many rows there are. */
static int
finish(PGconn *conn, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	int			rows = PQntuples(result);

	if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
		fail("%s", PQerrorMessage(conn));
	PQclear(result);
	return rows;
}

static void
run(PGconn *conn, const char *sql)
{
	if (*sql)
		finish(conn, PQexec(conn, sql));
}

static void
wait_for_notification(PGconn *conn)
{
	PGnotify   *notify;

	while ((notify = PQnotifies(conn)) == NULL)
	{
		struct pollfd readable = {.fd = PQsocket(conn),.events = POLLIN};

		if (poll(&readable, 1, -1) < 0 && errno != EINTR)
			fail("poll() failed");
		if (!PQconsumeInput(conn))
			fail("%s", PQerrorMessage(conn));
	}
	PQfreemem(notify);
}

/* The consumer's thread; ends with the process. */
static void *
consume(void *arg)
{
	Consumer   *consumer = arg;

	for (;;)
	{
		double		awake;

		if (*consumer->wait)
			run(consumer->conn, consumer->wait);
		else
			wait_for_notification(consumer->conn);
		awake = now_ms();

		/* There may be no job, since notifications are but hints. */
		if (finish(consumer->conn, PQexecPrepared(consumer->conn, "claim", 0,
												  NULL, NULL, NULL, 0)) > 0)
		{
			consumer->awake = awake;
			consumer->got = now_ms();
			sem_post(&consumer->has_job);
		}
	}
	return NULL;
}

static void
sleep_5_to_30_ms(void)
{
	struct timespec pause = {0, 5000000 + random() % 25000000};

	nanosleep(&pause, NULL);
}

static void
await_job(Consumer *consumer)
{
	struct timespec deadline;

	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += LIMIT_S;
	while (sem_timedwait(&consumer->has_job, &deadline) != 0)
	{
		if (errno != EINTR)
			fail("a job was not delivered within %d s", LIMIT_S);
	}
}

int
main(int argc, char **argv)
{
	static Consumer consumer;	/* its thread goes on when main() is through */
	PGconn	   *producer;
	pthread_t	thread;
	int			jobs;

	if (argc != 6 || (jobs = atoi(argv[1])) <= 0)
		fail("usage: wake JOBS LISTEN ENQUEUE WAIT CLAIM");

	consumer.conn = connect_to_server();
	consumer.wait = argv[4];
	sem_init(&consumer.has_job, 0, 0);
	run(consumer.conn, argv[2]);
	finish(consumer.conn,
		   PQprepare(consumer.conn, "claim", argv[5], 0, NULL));
	producer = connect_to_server();
	run(producer, "SET synchronous_commit = off");
	if (pthread_create(&thread, NULL, consume, &consumer) != 0)
		fail("pthread_create() failed");

	for (int i = 0; i < jobs; i++)
	{
		double		committed;

		sleep_5_to_30_ms();
		run(producer, "BEGIN");
		run(producer, argv[3]);
		committed = now_ms();
		run(producer, "COMMIT");
		await_job(&consumer);
		printf("%.4f %.4f\n", consumer.awake - committed,
			   consumer.got - committed);
	}

	/* no exit handlers: the thread may be using what they take down */
	if (fflush(stdout) != 0)
		fail("could not write the results");
	_exit(0);
}
