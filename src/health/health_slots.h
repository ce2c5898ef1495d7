/*-------------------------------------------------------------------------
 *
 * health_slots.h
 *	  Why SQL jobs find no worker, for the view jobq.health.
 *
 * IDENTIFICATION
 *	  src/health/health_slots.h
 *
 *-------------------------------------------------------------------------
 */
#ifndef JOBQ_HEALTH_SLOTS_H
#define JOBQ_HEALTH_SLOTS_H

#include "health/health_finding.h"

/* Whether jobs wait because no executor can be started. */
extern void jobq_health_check_slots(JobqHealth *health);

/*
 * The end of a message that all worker slots of the server are in use: how many
 * coordinators there are, and of which databases, if the reader may know.
 */
extern const char *jobq_health_slots_of_coordinators(const JobqHealth *health);

#endif							/* JOBQ_HEALTH_SLOTS_H */
