/* helpers - a few threads for what takes long and concerns one file, so that nothing else waits for it */
#include <errno.h>
#include <stdlib.h>

#include "qmgr/store/internal.h"

static void *
helper_main(void *context)
{
	struct store *store = context;
	struct helpers *helpers = &store->helpers;

	pthread_mutex_lock(&helpers->lock);
	for (;;) {
		struct job *job = helpers->first;

		if (job == NULL && helpers->stop)
			break;
		if (job == NULL) {
			pthread_cond_wait(&helpers->wake, &helpers->lock);
			continue;
		}
		helpers->first = job->next;
		if (helpers->first == NULL)
			helpers->last = &helpers->first;
		pthread_mutex_unlock(&helpers->lock);
		job->work(store, job);
		pthread_mutex_lock(&helpers->lock);
	}
	pthread_mutex_unlock(&helpers->lock);
	return NULL;
}

void
helpers_add(struct store *store, struct job *job)
{
	struct helpers *helpers = &store->helpers;

	pthread_mutex_lock(&helpers->lock);
	job->next = NULL;
	*helpers->last = job;
	helpers->last = &job->next;
	pthread_mutex_unlock(&helpers->lock);
	pthread_cond_signal(&helpers->wake);
}

int
helpers_start(struct store *store, struct error *error)
{
	struct helpers *helpers = &store->helpers;

	while (helpers->started < HELPER_THREADS) {
		if (store_thread_start(&helpers->threads[helpers->started], helper_main, store) != 0)
			return error_system(error, errno, "start a helper");
		helpers->started++;
	}
	return 0;
}

void
helpers_stop(struct store *store)
{
	struct helpers *helpers = &store->helpers;

	pthread_mutex_lock(&helpers->lock);
	helpers->stop = true;
	pthread_mutex_unlock(&helpers->lock);
	pthread_cond_broadcast(&helpers->wake);
	while (helpers->started > 0)
		pthread_join(helpers->threads[--helpers->started], NULL);
	helpers->stop = false;
}
