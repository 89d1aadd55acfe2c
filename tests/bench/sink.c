/*
 * sink - an SMTP receiver that throws mail away: the far end of the benchmark
 *
 * One epoll loop that costs next to nothing, so that what is measured is the server in front of it. It counts
 * distinct Message-IDs, so that a copy cannot hide a loss, and acknowledges at once (TCP_QUICKACK), so that a
 * server without TCP_NODELAY does not wait for delayed acknowledgements. Loopback only.
 *
 * usage: sink PORT WARM-UP COUNT TIMES DELAY
 * After WARM-UP messages it says "warm"; after COUNT further distinct ones "done", with the wall time of the last
 * and the number of copies. TIMES gets a line "time recipients message-id" for each message after the WARM-UP, copies
 * too, a little after it came. Each message is acknowledged DELAY milliseconds after it came. It ends at the end of
 * its standard input.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEADER_MAX 4096
#define LINE_MAX_OCTETS 2048
#define ID_MAX 200
#define EVENTS_MAX 256
#define FLUSH_MILLISECONDS 50		/* TIMES is written after so long without an event */

/* In a body: where in the end of data, CRLF . CRLF, the octets stand. */
enum place { IN_LINE, LINE_START, AFTER_DOT, AFTER_DOT_CR };

struct session {
	int socket;
	bool in_body;
	enum place place;
	char header[HEADER_MAX + 1];
	size_t header_length;
	char line[LINE_MAX_OCTETS];
	size_t line_length;
	char replies[8192];
	size_t replies_length;
	long recipients;
	double due;			/* when a late reply is to be sent; 0: there is none */
	struct session *next, **link;	/* among those with one, the earliest first */
};

static struct {
	long warm_up, expected, distinct, copies;
	FILE *times;
	uint64_t *seen;		/* open addressing over hashes of Message-IDs; 0: free */
	size_t seen_size;
	double last;
	double delay;			/* seconds */
	bool unwritten;			/* something in times is not in its file */
} count;

static struct session *late_first, **late_last = &late_first;

static double
wall_time(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Whether the hash was there already. */
static bool
remember(uint64_t hash)
{
	size_t place = (hash |= 1) & (count.seen_size - 1);

	while (count.seen[place] != 0 && count.seen[place] != hash)
		place = (place + 1) & (count.seen_size - 1);
	if (count.seen[place] == hash)
		return true;
	count.seen[place] = hash;
	return false;
}

static void
read_message_id(const struct session *session, char id[static ID_MAX + 1])
{
	const char *field = strcasestr(session->header, "\nMessage-ID:");
	size_t length = 0;

	if (field != NULL)
		for (field += 12 + strspn(field + 12, " \t"); length < ID_MAX && strchr("\r\n", field[length]) == NULL;)
			length++;
	memcpy(id, field == NULL ? "" : field, length);
	id[length] = '\0';
}

static void
message_arrived(struct session *session)
{
	uint64_t hash = 14695981039346656037u;
	char id[ID_MAX + 1];
	double now = wall_time();

	session->header[session->header_length] = '\0';
	read_message_id(session, id);
	if (count.warm_up == 0) {
		fprintf(count.times, "%.6f %ld %s\n", now, session->recipients, id);
		count.unwritten = true;
	}
	for (const char *octet = id; *octet != '\0'; octet++)
		hash = (hash ^ (unsigned char)*octet) * 1099511628211u;
	if (remember(hash)) {
		count.copies++;
		return;
	}
	if (count.warm_up > 0) {
		if (--count.warm_up == 0) {
			puts("warm");
			fflush(stdout);
		}
		return;
	}
	count.last = now;
	if (++count.distinct == count.expected) {
		fflush(count.times);
		printf("done %.6f %ld\n", count.last, count.copies);
		fflush(stdout);
	}
}

static void
reply(struct session *session, const char *text)
{
	size_t length = strlen(text);

	if (session->replies_length + length <= sizeof(session->replies)) {
		memcpy(session->replies + session->replies_length, text, length);
		session->replies_length += length;
	}
}

static bool
send_replies(struct session *session)
{
	size_t sent = 0;

	while (sent < session->replies_length) {
		ssize_t result = send(session->socket, session->replies + sent, session->replies_length - sent, MSG_NOSIGNAL);

		if (result < 0 && errno != EAGAIN && errno != EINTR)
			return false;
		sent += result > 0 ? (size_t)result : 0;
	}
	session->replies_length = 0;
	return true;
}

/* Takes octets of a body; how many. in_body becomes false at its end. */
static size_t
take_body(struct session *session, const char *octets, size_t length)
{
	size_t room = HEADER_MAX - session->header_length, i = 0;

	room = room < length ? room : length;
	memcpy(session->header + session->header_length, octets, room);
	session->header_length += room;
	while (i < length) {
		if (session->place == IN_LINE) {
			const char *end = memchr(octets + i, '\n', length - i);

			if (end == NULL)
				return length;
			i = (size_t)(end - octets) + 1;
			session->place = LINE_START;
			continue;
		}
		if (session->place == AFTER_DOT_CR && octets[i] == '\n') {
			session->in_body = false;
			return i + 1;
		}
		session->place = session->place == LINE_START && octets[i] == '.' ? AFTER_DOT :
		    session->place == AFTER_DOT && octets[i] == '\r' ? AFTER_DOT_CR : IN_LINE;
		i += octets[i] != '\n';
	}
	return length;
}

/* False after QUIT. */
static bool
take_command(struct session *session)
{
	const char *line = session->line;

	if (strncasecmp(line, "EHLO", 4) == 0) {
		reply(session, "250-sink.test\r\n250-PIPELINING\r\n250-SIZE 0\r\n250 8BITMIME\r\n");
	} else if (strncasecmp(line, "DATA", 4) == 0) {
		reply(session, "354 go ahead\r\n");
		session->in_body = true;
		session->place = LINE_START;
		session->header[0] = '\n';
		session->header_length = 1;
	} else if (strncasecmp(line, "MAIL", 4) == 0) {
		session->recipients = 0;
		reply(session, "250 2.0.0 ok\r\n");
	} else if (strncasecmp(line, "RCPT", 4) == 0) {
		session->recipients++;
		reply(session, "250 2.0.0 ok\r\n");
	} else if (strncasecmp(line, "QUIT", 4) == 0) {
		reply(session, "221 bye\r\n");
		return false;
	} else {
		reply(session, "250 2.0.0 ok\r\n");
	}
	return true;
}

static void
unlink_late(struct session *session)
{
	if (session->due == 0)
		return;
	session->due = 0;
	*session->link = session->next;
	if (session->next != NULL)
		session->next->link = session->link;
	else
		late_last = session->link;
}

static void
acknowledge(struct session *session)
{
	reply(session, "250 2.0.0 ok\r\n");
	if (count.delay == 0 || session->due != 0)
		return;
	session->due = wall_time() + count.delay;
	session->next = NULL;
	session->link = late_last;
	*late_last = session;
	late_last = &session->next;
}

static void
end_session(struct session *session)
{
	unlink_late(session);
	close(session->socket);
	free(session);
}

/* Sends the replies whose time has come; milliseconds until the next, -1 when there is none. */
static int
send_late(void)
{
	struct session *session;
	double now = wall_time();

	while ((session = late_first) != NULL && session->due <= now) {
		unlink_late(session);
		if (!send_replies(session))
			end_session(session);
	}
	return late_first == NULL ? -1 : (int)((late_first->due - now) * 1000) + 1;
}

/* False when the session is over. */
static bool
take_octets(struct session *session, const char *octets, size_t length)
{
	size_t i = 0;
	bool goes_on = true;

	while (i < length && goes_on) {
		if (session->in_body) {
			i += take_body(session, octets + i, length - i);
			if (!session->in_body) {
				message_arrived(session);
				acknowledge(session);
			}
		} else if (octets[i] != '\n') {
			if (session->line_length < sizeof(session->line) - 1)
				session->line[session->line_length++] = octets[i];
			i++;
		} else {
			session->line[session->line_length] = '\0';
			session->line_length = 0;
			goes_on = take_command(session);
			i++;
		}
	}
	return (session->due != 0 || send_replies(session)) && goes_on;
}

static void
serve(struct session *session)
{
	static char octets[262144];
	ssize_t length = recv(session->socket, octets, sizeof(octets), 0);

	setsockopt(session->socket, IPPROTO_TCP, TCP_QUICKACK, &(int){ 1 }, sizeof(int));
	if (length < 0 && errno == EAGAIN)
		return;
	if (length > 0 && take_octets(session, octets, (size_t)length))
		return;
	end_session(session);
}

static void
accept_all(int listener, int poll)
{
	int socket;

	while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
		struct session *session = calloc(1, sizeof(*session));
		struct epoll_event event = { .events = EPOLLIN, .data.ptr = session };

		setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
		session->socket = socket;
		epoll_ctl(poll, EPOLL_CTL_ADD, socket, &event);
		reply(session, "220 sink.test ESMTP\r\n");
		send_replies(session);
	}
}

static int
open_listener(const char *port)
{
	struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(port)),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
	if (bind(listener, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(listener, 1024) < 0) {
		perror("sink: listen");
		exit(1);
	}
	return listener;
}

int
main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX], event = { .events = EPOLLIN };
	int poll = epoll_create1(0), listener;

	if (argc != 6) {
		fputs("usage: sink PORT WARM-UP COUNT TIMES DELAY\n", stderr);
		return 2;
	}
	listener = open_listener(argv[1]);
	count.warm_up = atol(argv[2]);
	count.expected = atol(argv[3]);
	count.times = fopen(argv[4], "w");
	count.delay = atof(argv[5]) / 1000;
	for (count.seen_size = 65536; count.seen_size < (size_t)(count.warm_up + count.expected) * 4;)
		count.seen_size *= 2;
	count.seen = calloc(count.seen_size, sizeof(*count.seen));
	epoll_ctl(poll, EPOLL_CTL_ADD, listener, &event);
	event.data.ptr = &count;
	epoll_ctl(poll, EPOLL_CTL_ADD, STDIN_FILENO, &event);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int wait = send_late(), ready;

		if (count.unwritten && (wait < 0 || wait > FLUSH_MILLISECONDS))
			wait = FLUSH_MILLISECONDS;
		ready = epoll_wait(poll, events, EVENTS_MAX, wait);
		if (ready == 0 && count.unwritten) {
			fflush(count.times);
			count.unwritten = false;
		}
		for (int i = 0; i < ready; i++) {
			if (events[i].data.ptr == &count)
				return 0;
			if (events[i].data.ptr == NULL)
				accept_all(listener, poll);
			else
				serve(events[i].data.ptr);
		}
	}
}
