/*
 * latch_shim.c
 *	  To be preloaded (LD_PRELOAD) into a server one of whose processes a test holds.
 *
 * A process whose PID the file "hold" names, in the directory JOBQ_HOLD_DIRECTORY, stops
 * when it writes to a file, until "hold" is gone; "held" shows that it has stopped.
 * Then it resets its latch, as it would have if it had waited for another process's
 * I/O.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void
reset_latch(void)
{
	void	  **latch = dlsym(RTLD_DEFAULT, "MyLatch");
	void		(*reset) (void *);

	*(void **) &reset = dlsym(RTLD_DEFAULT, "ResetLatch");
	if (latch == NULL || reset == NULL)
		abort();
	reset(*latch);
}

static int
is_named(const char *path)
{
	FILE	   *file = fopen(path, "r");
	int			pid = 0;

	if (file == NULL)
		return 0;
	if (fscanf(file, "%d", &pid) != 1)
		pid = 0;
	fclose(file);
	return pid == getpid();
}

static void
stop_if_held(void)
{
	const char *directory = getenv("JOBQ_HOLD_DIRECTORY");
	char		hold[4096];
	char		held[4096];

	if (directory == NULL)
		abort();
	snprintf(hold, sizeof(hold), "%s/hold", directory);
	if (!is_named(hold))
		return;
	snprintf(held, sizeof(held), "%s/held", directory);
	close(open(held, O_CREAT | O_WRONLY, 0600));
	while (access(hold, F_OK) == 0)
		usleep(1000);
	reset_latch();
}

ssize_t
pwrite64(int file, const void *data, size_t size, off64_t offset)
{
	static ssize_t (*real) (int, const void *, size_t, off64_t) = NULL;

	if (real == NULL)
		*(void **) &real = dlsym(RTLD_NEXT, "pwrite64");
	stop_if_held();
	return real(file, data, size, offset);
}

ssize_t
pwrite(int file, const void *data, size_t size, off_t offset)
{
	return pwrite64(file, data, size, offset);
}
