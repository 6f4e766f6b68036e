/*
 * A forward proxy with nothing but the system calls that one needs: epoll,
 * splice(2) for bulk, one copy for small messages. It checks nothing, logs
 * nothing and limits nothing. What it costs is the limit for Penstock.
 *
 * minimal PORT: CONNECT to IPv4 literals, and GET in absolute-form, each client
 * with one kept connection to its origin.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define COPY_BYTES 65536
#define PIPE_BYTES 1048576
#define HEAD_BYTES 4096

enum state { HEAD, DIALLING, TUNNEL, FORWARD };

struct side {
	int fd;
	struct side *peer;  /* the other side of the tunnel, once there is one */
	enum state state;   /* of a client */
	int is_target;
	unsigned interest;
	int pipe[2];        /* bytes that came from this side and wait for the peer; -1 without */
	size_t held;
	int watched, bulk, ended, dead;
	size_t head;        /* bytes of the request head */
	char *text;
	struct side *next;  /* of those to be freed after this turn */
};

static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
static int epoll_fd;
static char scratch[COPY_BYTES];
static int pipes[512][2];
static int spare_pipes;
static struct side *dead_sides;

static struct side *new_side(int fd, int is_target)
{
	struct side *side = calloc(1, sizeof *side);
	side->fd = fd;
	side->is_target = is_target;
	side->pipe[0] = side->pipe[1] = -1;
	return side;
}

static void watch(struct side *side, unsigned interest)
{
	if (side->dead || (side->watched && interest == side->interest)) return;
	struct epoll_event event = { .events = interest, .data.ptr = side };
	epoll_ctl(epoll_fd, side->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, side->fd, &event);
	side->watched = 1;
	side->interest = interest;
}

static void take_pipe(struct side *side)
{
	if (spare_pipes > 0) {
		spare_pipes--;
		memcpy(side->pipe, pipes[spare_pipes], sizeof side->pipe);
	} else if (pipe2(side->pipe, O_NONBLOCK) == 0)
		fcntl(side->pipe[1], F_SETPIPE_SZ, PIPE_BYTES);
}

static void leave_pipe(struct side *side)
{
	if (side->pipe[0] < 0) return;
	if (side->held == 0 && spare_pipes < 512)
		memcpy(pipes[spare_pipes++], side->pipe, sizeof side->pipe);
	else {
		close(side->pipe[0]);
		close(side->pipe[1]);
	}
	side->pipe[0] = side->pipe[1] = -1;
}

static void end(struct side *side)
{
	if (side == NULL || side->dead) return;
	side->dead = 1;
	leave_pipe(side);
	close(side->fd);
	side->next = dead_sides;
	dead_sides = side;
	end(side->peer);
}

/* Sends what waits in the pipe. Gives 0 when the socket takes no more. */
static int flush(struct side *from)
{
	struct side *to = from->peer;
	while (from->held > 0) {
		ssize_t sent = splice(from->pipe[0], NULL, to->fd, NULL, from->held, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (sent < 0 && errno == EAGAIN) return 0;
		if (sent <= 0) return end(from), 0;
		from->held -= sent;
	}
	leave_pipe(from);
	return 1;
}

static void finish(struct side *from)
{
	from->ended = 1;
	shutdown(from->peer->fd, SHUT_WR);
	if (from->peer->ended) end(from);
	else watch(from, from->interest & ~EPOLLIN);
}

/* Moves what is there from one side to its peer, at most a pipeful. */
static void move(struct side *from)
{
	struct side *to = from->peer;
	ssize_t count;
	if (from->bulk) {
		if (from->pipe[0] < 0) take_pipe(from);
		count = splice(from->fd, NULL, from->pipe[1], NULL, PIPE_BYTES, SPLICE_F_MOVE | SPLICE_F_NONBLOCK);
		if (count > 0) {
			from->held = count;
			if (count < COPY_BYTES / 8) from->bulk = 0;
			flush(from);
		}
	} else {
		count = recv(from->fd, scratch, COPY_BYTES, MSG_DONTWAIT);
		if (count > 0) {
			ssize_t sent = send(to->fd, scratch, count, MSG_DONTWAIT | MSG_NOSIGNAL);
			if (sent < 0 && errno != EAGAIN) return end(from);
			if (sent < 0) sent = 0;
			if (sent < count) {
				take_pipe(from);
				from->held = write(from->pipe[1], scratch + sent, count - sent);
			}
			if (count == COPY_BYTES) from->bulk = 1;
		}
	}
	if (from->dead) return;
	if (count == 0) return finish(from);
	if (count < 0 && errno != EAGAIN) return end(from);
	if (from->held > 0) {
		watch(to, to->interest | EPOLLOUT);
		watch(from, from->interest & ~EPOLLIN);
	}
}

static struct side *dial(struct side *client, const char *host, size_t length)
{
	char address[64];
	const char *colon = memchr(host, ':', length);
	if (colon == NULL || (size_t)(colon - host) >= sizeof address) return NULL;
	memcpy(address, host, colon - host);
	address[colon - host] = 0;
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(atoi(colon + 1)) };
	if (inet_pton(AF_INET, address, &to.sin_addr) != 1) return NULL;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int on = 1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (struct sockaddr *)&to, sizeof to) < 0 && errno != EINPROGRESS) return close(fd), NULL;
	struct side *target = new_side(fd, 1);
	target->peer = client;
	client->peer = target;
	watch(target, EPOLLOUT);
	return target;
}

/* Sends a GET on, with its target in origin-form. */
static void forward(struct side *client)
{
	char *path = memchr(client->text + 11, '/', client->head - 11);
	char request[HEAD_BYTES];
	memcpy(request, "GET ", 4);
	size_t length = client->head - (path - client->text);
	memcpy(request + 4, path, length);
	client->head = 0;
	if (send(client->peer->fd, request, length + 4, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) end(client);
}

static void read_head(struct side *client)
{
	if (client->text == NULL) client->text = malloc(HEAD_BYTES);
	ssize_t count = recv(client->fd, client->text + client->head, HEAD_BYTES - client->head, MSG_DONTWAIT);
	if (count < 0 && errno == EAGAIN) return;
	if (count <= 0) return end(client);
	client->head += count;
	if (client->head < 16 || memcmp(client->text + client->head - 4, "\r\n\r\n", 4) != 0) return;
	int tunnel = memcmp(client->text, "CONNECT ", 8) == 0;
	if (client->state == FORWARD) return forward(client);
	char *host = client->text + (tunnel ? 8 : 11);
	if (dial(client, host, strcspn(host, " /")) == NULL) return end(client);
	client->state = tunnel ? TUNNEL : FORWARD;
	watch(client, 0);
}

/* The target answers: the connection stands. */
static void dialled(struct side *target)
{
	struct side *client = target->peer;
	int error = 0;
	socklen_t size = sizeof error;
	getsockopt(target->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error != 0) return end(target);
	target->state = TUNNEL;
	watch(target, EPOLLIN);
	if (client->state == FORWARD) forward(client);
	else {
		free(client->text);
		client->text = NULL;
		if (send(client->fd, established, sizeof established - 1, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) return end(client);
	}
	watch(client, EPOLLIN);
}

static void handle(struct side *side, unsigned events)
{
	if (side->dead) return;
	if (side->is_target && side->state != TUNNEL) return dialled(side);
	if ((events & EPOLLERR) != 0) return end(side);
	if ((events & EPOLLOUT) != 0 && flush(side->peer) && !side->dead) {
		watch(side, side->interest & ~EPOLLOUT);
		if (!side->peer->ended) watch(side->peer, side->peer->interest | EPOLLIN);
	}
	if ((events & (EPOLLIN | EPOLLHUP)) == 0 || side->dead || side->ended) return;
	if (side->is_target || side->state == TUNNEL) move(side);
	else read_head(side);
}

int main(int count, char **arguments)
{
	if (count != 2) return 2;
	signal(SIGPIPE, SIG_IGN);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
	struct sockaddr_in here = { .sin_family = AF_INET, .sin_port = htons(atoi(arguments[1])) };
	here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	setsockopt(listener, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&here, sizeof here) < 0 || listen(listener, 4096) < 0) return 1;
	epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = { .events = EPOLLIN }, events[512];
	epoll_ctl(epoll_fd, EPOLL_CTL_ADD, listener, &event);
	for (;;) {
		int ready = epoll_wait(epoll_fd, events, 512, -1);
		for (int at = 0; at < ready; at++) {
			struct side *side = events[at].data.ptr;
			if (side != NULL) {
				handle(side, events[at].events);
				continue;
			}
			for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
				watch(new_side(fd, 0), EPOLLIN);
		}
		while (dead_sides != NULL) {
			struct side *side = dead_sides;
			dead_sides = side->next;
			free(side->text);
			free(side);
		}
	}
}
