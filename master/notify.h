/* notify - tells whoever started master how it stands: systemd (sd_notify(3)), and the command that waits for the start */
#ifndef MASTER_NOTIFY_H
#define MASTER_NOTIFY_H

/* Remembers NOTIFY_SOCKET and takes it out of the environment. */
void notify_init(void);
void notify_ready(void);
void notify_reloading(void);
void notify_stopping(void);

/*
 * Leaves the foreground: forks, and goes on in the child, in a session of its own. The parent waits until notify_started() and
 * then exits 0; when the child ends before, with the child's status. -1 with errno when that fails.
 */
int notify_daemonise(void);
/* The service runs: the parent may leave. keep_stderr is false when nothing more is to be said there. Harmless without a parent. */
void notify_started(int keep_stderr);

#endif
