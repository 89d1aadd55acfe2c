/* sharing - see sharing.h */
#include "qmgr/sharing.h"

#include "qmgr/qmgr.h"

struct shares {
	enum role role;
	bool with_gone;			/* those that are gone have one, too */
	unsigned limit;			/* jobs that are shared out */
	unsigned count;			/* of workers with a share */
	unsigned first;			/* which of them the first one is when there is something left over: not the same for all */
};

static bool
has_share(const struct shares *shares, const struct deliver_worker *worker)
{
	return worker->role == shares->role && (shares->with_gone || worker->channel != NULL);
}

static unsigned
count_workers(const struct qmgr *qmgr, const struct shares *shares)
{
	const struct deliver_worker *worker;
	unsigned count = 0;

	TAILQ_FOREACH(worker, &qmgr->deliver.workers, link)
		count += has_share(shares, worker);
	return count;
}

static struct shares
share_out(const struct qmgr *qmgr, const struct destination *destination)
{
	struct shares shares = {
		.role = destination->class == CLASS_LOCAL ? ROLE_LOCAL : ROLE_SMTP,
		.with_gone = true,
		.limit = destination_limit(&qmgr->destinations, destination),
	};

	shares.count = count_workers(qmgr, &shares);
	if (shares.count > shares.limit) {
		shares.with_gone = false;
		shares.count = count_workers(qmgr, &shares);
	}
	if (shares.count > 0)
		shares.first = (unsigned)(destination->by_key.hash % shares.count);
	return shares;
}

/* Of the worker that is so many places behind the first one in the list. */
static unsigned
share_of(const struct shares *shares, unsigned place)
{
	unsigned turn = (place + shares->first) % shares->count;

	return shares->limit / shares->count + (turn < shares->limit % shares->count);
}

/* One that has a free session there, probably; otherwise the one with the least to do. */
static bool
is_better(const struct deliver_worker *worker, const struct deliver_worker *best, const struct destination *destination)
{
	if (best == NULL || worker == destination->last_worker)
		return true;
	return best != destination->last_worker && worker->job_count < best->job_count;
}

struct deliver_worker *
sharing_choose(struct qmgr *qmgr, struct destination *destination)
{
	struct shares shares = share_out(qmgr, destination);
	struct deliver_worker *worker, *best = NULL;
	unsigned place = 0;

	TAILQ_FOREACH(worker, &qmgr->deliver.workers, link) {
		if (!has_share(&shares, worker))
			continue;
		if (destination_jobs_at(destination, worker->number) < share_of(&shares, place++) &&
		    deliver_can_take(worker) && is_better(worker, best, destination))
			best = worker;
	}
	destination->last_worker = NULL;
	return best;
}
