/*
 * clock_shim.c
 *	  To be preloaded (LD_PRELOAD) into a server whose clock a test sets.
 *
 * Adds what the file named by JOBQ_CLOCK_FILE says, a number of microseconds as
 * an int64, to the time of day.  Other clocks go on as they are, as they do
 * when somebody sets the clock of a machine.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>

static const volatile int64_t *offset;

static int64_t
now_is_later_by(void)
{
	if (offset == NULL)
	{
		const char *path = getenv("JOBQ_CLOCK_FILE");
		int			file = path != NULL ? open(path, O_RDONLY) : -1;
		void	   *map = file >= 0 ?
		mmap(NULL, sizeof(*offset), PROT_READ, MAP_SHARED, file, 0) :
		MAP_FAILED;

		if (map == MAP_FAILED)
			abort();
		offset = map;
	}
	return *offset;
}

int
clock_gettime(clockid_t clock, struct timespec *time)
{
	static int	(*real) (clockid_t, struct timespec *) = NULL;
	int			result;

	if (real == NULL)
		*(void **) &real = dlsym(RTLD_NEXT, "clock_gettime");
	result = real(clock, time);
	if (result == 0 && clock == CLOCK_REALTIME)
	{
		int64_t		ns = time->tv_sec * INT64_C(1000000000) + time->tv_nsec +
		now_is_later_by() * 1000;

		time->tv_sec = ns / 1000000000;
		time->tv_nsec = ns % 1000000000;
	}
	return result;
}

int
gettimeofday(struct timeval *restrict time, void *restrict zone)
{
	struct timespec now;
	int			result = clock_gettime(CLOCK_REALTIME, &now);

	(void) zone;
	time->tv_sec = now.tv_sec;
	time->tv_usec = now.tv_nsec / 1000;
	return result;
}
