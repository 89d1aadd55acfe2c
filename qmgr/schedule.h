/* schedule - whenever a worker is free, the next destination in turn gets a job */
#ifndef QMGR_SCHEDULE_H
#define QMGR_SCHEDULE_H

struct event;
struct qmgr;

struct schedule {
	struct event *run;
};

void schedule_start(struct qmgr *qmgr);
void schedule_end(struct qmgr *qmgr);
/* Something may be startable: look soon. */
void schedule_kick(struct qmgr *qmgr);

#endif
