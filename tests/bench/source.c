/*
 * source - the near end of a benchmark: an SMTP client that costs as little as it can
 *
 * Sends messages over so many sessions at a time, one after the other in each, command by command without pipelining. One process with
 * an epoll loop: on a machine of two CPUs a dear generator would be what is measured. Any reply but the awaited one ends it.
 *
 * usage: source PORT COUNT SESSIONS OCTETS new|reuse RECIPIENT
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define LINE_OCTETS 72

/* What was said last. */
enum step { CONNECT, HELO, MAIL, RCPT, DATA, CONTENT, QUIT };

struct session {
	int socket;
	enum step step;
	char reply[1024];
	size_t reply_length;
	char header[512];
	size_t header_length;
	size_t sent;			/* of header and body, while they are being sent */
	bool is_sending;
};

static const char *const awaited[] = { [CONNECT] = "220", [HELO] = "250", [MAIL] = "250", [RCPT] = "250", [DATA] = "354",
	[CONTENT] = "250", [QUIT] = "221" };

static struct sockaddr_in server = { .sin_family = AF_INET };
static int epoll;
static char *body;
static size_t body_length;
static unsigned long message_count, begun, done, open_sessions;
static bool reuses;
static const char *recipient;

static void __attribute__((noreturn, format(printf, 1, 2)))
give_up(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

/* So many octets in lines of X, and the end of data. */
static void
make_body(size_t octets)
{
	size_t lines = octets < LINE_OCTETS ? 1 : octets / LINE_OCTETS;

	body = malloc(lines * LINE_OCTETS + 3);
	if (body == NULL)
		give_up("no memory");
	for (; lines > 0; lines--) {
		memset(body + body_length, 'X', LINE_OCTETS - 2);
		memcpy(body + body_length + LINE_OCTETS - 2, "\r\n", 2);
		body_length += LINE_OCTETS;
	}
	memcpy(body + body_length, ".\r\n", 3);
	body_length += 3;
}

static void
say(const struct session *session, const char *format, ...)
{
	char line[600];
	va_list arguments;
	int length;

	va_start(arguments, format);
	length = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	if (send(session->socket, line, (size_t)length, MSG_NOSIGNAL) != length)
		give_up("a command was not taken: %s", strerror(errno));
}

static void
begin_session(struct session *session)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = session };
	int on = 1;

	memset(session, 0, sizeof(*session));
	session->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (session->socket < 0)
		give_up("socket: %s", strerror(errno));
	setsockopt(session->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(session->socket, (const struct sockaddr *)&server, sizeof(server)) < 0 && errno != EINPROGRESS)
		give_up("connect: %s", strerror(errno));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, session->socket, &event) < 0)
		give_up("epoll_ctl: %s", strerror(errno));
	begun++;
	open_sessions++;
}

static void
begin_content(struct session *session)
{
	session->header_length = (size_t)snprintf(session->header, sizeof(session->header),
	    "From: <load@example.org>\r\nTo: <%s>\r\nSubject: benchmark\r\nMessage-ID: <%d.%lu.%p@bench.test>\r\n\r\n",
	    recipient, (int)getpid(), done, (void *)session);
	session->sent = 0;
	session->is_sending = true;
}

static void
send_content(struct session *session)
{
	size_t length = session->header_length + body_length;

	while (session->sent < length) {
		size_t of_header = session->sent < session->header_length ? session->sent : session->header_length;
		size_t of_body = session->sent - of_header;
		struct iovec parts[2] = { { session->header + of_header, session->header_length - of_header },
			{ body + of_body, body_length - of_body } };
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = 2 };
		ssize_t count = sendmsg(session->socket, &message, MSG_NOSIGNAL);

		if (count < 0 && errno == EAGAIN)
			return;
		if (count < 0)
			give_up("content was not taken: %s", strerror(errno));
		session->sent += (size_t)count;
	}
	session->is_sending = false;
}

/* The awaited reply has come: says what is next. */
static void
go_on(struct session *session)
{
	switch (session->step++) {
	case CONNECT:
		say(session, "HELO load.example\r\n");
		break;
	case HELO:
		say(session, "MAIL FROM:<load@example.org>\r\n");
		break;
	case MAIL:
		say(session, "RCPT TO:<%s>\r\n", recipient);
		break;
	case RCPT:
		say(session, "DATA\r\n");
		break;
	case DATA:
		begin_content(session);
		send_content(session);
		break;
	case CONTENT:
		done++;
		if (reuses && begun < message_count) {
			begun++;
			session->step = MAIL;
			say(session, "MAIL FROM:<load@example.org>\r\n");
		} else {
			say(session, "QUIT\r\n");
		}
		break;
	case QUIT:
		close(session->socket);
		open_sessions--;
		if (begun < message_count)
			begin_session(session);
		break;
	}
}

/* Takes what has come; a reply is whole with the line whose code is followed by a blank. */
static void
take_reply(struct session *session)
{
	ssize_t count = recv(session->socket, session->reply + session->reply_length,
	    sizeof(session->reply) - session->reply_length - 1, 0);
	char *last;

	if (count < 0 && errno == EAGAIN)
		return;
	if (count <= 0)
		give_up("the server left: %s", count < 0 ? strerror(errno) : "end of file");
	session->reply_length += (size_t)count;
	session->reply[session->reply_length] = '\0';
	if (session->reply_length < 5 || session->reply[session->reply_length - 1] != '\n')
		return;
	session->reply[session->reply_length - 2] = '\0';
	last = strrchr(session->reply, '\n');
	last = last == NULL ? session->reply : last + 1;
	if (last[3] == '-') {
		session->reply[session->reply_length - 2] = '\r';
		return;
	}
	if (strncmp(last, awaited[session->step], 3) != 0)
		give_up("the server said: %s", session->reply);
	session->reply_length = 0;
	go_on(session);
}

int
main(int argc, char **argv)
{
	unsigned long session_count;
	struct rlimit files;
	struct session *sessions;

	if (argc != 7)
		give_up("usage: source PORT COUNT SESSIONS OCTETS new|reuse RECIPIENT");
	server.sin_port = htons((uint16_t)atoi(argv[1]));
	server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	message_count = strtoul(argv[2], NULL, 10);
	session_count = strtoul(argv[3], NULL, 10);
	make_body(strtoul(argv[4], NULL, 10));
	reuses = strcmp(argv[5], "reuse") == 0;
	recipient = argv[6];
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	sessions = calloc(session_count, sizeof(*sessions));
	if (sessions == NULL)
		give_up("no memory");
	for (unsigned long i = 0; i < session_count && i < message_count; i++)
		begin_session(&sessions[i]);
	while (open_sessions > 0) {
		struct epoll_event events[64];
		int count = epoll_wait(epoll, events, 64, -1);

		for (int i = 0; i < count; i++) {
			struct session *session = events[i].data.ptr;

			if (session->is_sending && (events[i].events & EPOLLOUT) != 0)
				send_content(session);
			if ((events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0)
				take_reply(session);
		}
	}
	return 0;
}
