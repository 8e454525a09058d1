/* The channel, with this program on both ends: what is written, and what is made of what comes. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

/* The daemon's end. */
static int daemon_end = -1;

static int try_open(void) {
    cluster_channel* opened = NULL;
    const int code = cluster_channel_open(0, &opened);
    CHECK((code == 0) == (opened != NULL));
    cluster_channel_close(opened);
    return code;
}

static void name_descriptor(int fd) {
    char text[20];
    snprintf(text, sizeof text, "%d", fd);
    setenv("CLUSTER_CHANNEL_FD", text, 1);
}

/* Open until the process ends, and not lost meanwhile. */
static cluster_channel* volatile opened_last;

static cluster_channel* channel(void) {
    int ends[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    daemon_end = ends[1];
    name_descriptor(ends[0]);
    cluster_channel* opened = NULL;
    CHECK_EQ(cluster_channel_open(0, &opened), 0);
    CHECK_EQ(cluster_channel_fd(opened), ends[0]);
    opened_last = opened;
    return opened;
}

/* What has come at the daemon's end, without waiting. */
static const char* said(void) {
    static char text[200000];
    const ssize_t size = recv(daemon_end, text, sizeof text - 1, MSG_DONTWAIT);
    text[size > 0 ? size : 0] = '\0';
    return text;
}

#define CHECK_TEXT(left, right)                                                                 \
    do {                                                                                        \
        const char *left_ = (left), *right_ = (right);                                          \
        if (left_ == NULL || strcmp(left_, right_) != 0) {                                      \
            fprintf(stderr, "%s:%d: %s is\n%s\nnot\n%s\n", __FILE__, __LINE__, #left,           \
                    left_ == NULL ? "NULL" : left_, right_);                                    \
            exit(1);                                                                            \
        }                                                                                       \
    } while (0)

static void say(const char* lines) {
    CHECK_EQ(send(daemon_end, lines, strlen(lines), 0), strlen(lines));
}

static cluster_message received(cluster_channel* from) {
    cluster_message message;
    CHECK_EQ(cluster_channel_receive(from, &message, 0), 1);
    return message;
}

static int send_text(cluster_channel* to, const char* data, unsigned flags) {
    return cluster_channel_send(to, "api.1", data, strlen(data), flags, NULL);
}

CASE(channel_outside_of_clusterd) {
    unsetenv("CLUSTER_CHANNEL_FD");
    CHECK_EQ(try_open(), -ENOTCONN);
    CHECK(strstr(cluster_error_text(-ENOTCONN), "channel") != NULL);
    setenv("CLUSTER_CHANNEL_FD", "", 1);
    CHECK_EQ(try_open(), -ENOTCONN);
}

CASE(channel_descriptor_that_is_none) {
    const char* texts[] = {"x", "-1", "3 ", "3x", "99999999999"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        setenv("CLUSTER_CHANNEL_FD", texts[i], 1);
        CHECK_EQ(try_open(), -EINVAL);
    }
    setenv("CLUSTER_CHANNEL_FD", "77", 1);
    CHECK_EQ(try_open(), -EBADF);
    name_descriptor(open("/dev/null", O_RDWR));
    CHECK_EQ(try_open(), -EBADF);
    name_descriptor(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_EQ(try_open(), 0); /* at its end, and the first use says so */
    name_descriptor(socket(AF_INET, SOCK_STREAM, 0));
    CHECK_EQ(try_open(), -EBADF);
    int packets[2];
    CHECK_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, packets), 0);
    name_descriptor(packets[0]);
    CHECK_EQ(try_open(), -EBADF);
}

CASE(channel_is_one_and_not_inherited) {
    cluster_channel* const first = channel();
    CHECK_EQ(try_open(), -EBUSY);
    CHECK_EQ(fcntl(cluster_channel_fd(first), F_GETFD), FD_CLOEXEC);
    cluster_channel_close(first);
    /* Its number may be another file by now. */
    CHECK_EQ(try_open(), -EBADF);
    char byte;
    CHECK_EQ(recv(daemon_end, &byte, 1, 0), 0);
}

CASE(channel_invalid_arguments) {
    cluster_channel* const c = channel();
    cluster_message message;
    uint64_t id;
    CHECK_EQ(cluster_channel_open(1, NULL), -EINVAL);
    CHECK_EQ(cluster_channel_send(NULL, "a", "1", 1, 0, NULL), -EINVAL);
    CHECK_EQ(cluster_channel_send(c, NULL, "1", 1, 0, NULL), -EINVAL);
    CHECK_EQ(cluster_channel_send(c, "", "1", 1, 0, NULL), -EINVAL);
    CHECK_EQ(cluster_channel_send(c, "a", NULL, 1, 0, NULL), -EINVAL);
    CHECK_EQ(cluster_channel_send(c, "a", "1", 1, 1024, NULL), -EINVAL);
    CHECK_EQ(cluster_channel_subscribe(c, "a", CLUSTER_RAW, NULL), -EINVAL);
    CHECK_EQ(cluster_channel_request(c, "a", "1", 1, 0, 0, NULL), -EINVAL);
    CHECK_EQ(cluster_channel_request(c, "a", "1", 1, -1, 0, &id), -EINVAL);
    CHECK_EQ(cluster_channel_request(c, "a", "1", 1, 86400001, 0, &id), -EINVAL);
    CHECK_EQ(cluster_channel_refuse(c, 1, "", 0), -EINVAL);
    CHECK_EQ(cluster_channel_status(c, NULL), -EINVAL);
    CHECK_EQ(cluster_channel_receive(c, NULL, 0), -EINVAL);
    CHECK_EQ(cluster_channel_receive(NULL, &message, 0), -EINVAL);
    char text[300];
    memset(text, 'x', sizeof text);
    text[257] = '\0';
    CHECK_EQ(cluster_channel_send(c, text, "1", 1, 0, NULL), -ENAMETOOLONG);
    text[127] = '\0';
    CHECK_EQ(cluster_channel_publish(c, text, "1", 1, 0, NULL), -ENAMETOOLONG);
    const char* not_json[] = {"", " ", "{", "1 2", "tru", "\"a\nb\"", "{\"a\":1}}", "\xff"};
    for (size_t i = 0; i < sizeof not_json / sizeof *not_json; ++i) {
        CHECK_EQ(send_text(c, not_json[i], 0), -EILSEQ);
    }
    CHECK_EQ(send_text(c, "\xff", CLUSTER_TEXT), -EILSEQ);
    CHECK_EQ(cluster_channel_send(c, "\xff", "1", 1, 0, NULL), -EILSEQ);
    char deep[303];
    memset(deep, '[', 101);
    memset(deep + 101, ']', 101);
    CHECK_EQ(cluster_channel_send(c, "a", deep, 202, 0, NULL), -EILSEQ);
    CHECK_TEXT(said(), "");
}

CASE(channel_lines_as_channel_md_has_them) {
    cluster_channel* const c = channel();
    uint64_t id = 0;
    CHECK_EQ(cluster_channel_send(c, "api", "{\"n\":\n 1}", 9, 0, NULL), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"send\",\"to\":\"api\",\"data\":{\"n\":  1}}\n");
    CHECK_EQ(cluster_channel_send(c, "all", "5", 1, CLUSTER_RAW, &id), 0);
    CHECK_EQ(id, 1);
    CHECK_TEXT(said(),
               "{\"cluster\":\"send\",\"to\":\"all\",\"data\":5,\"raw\":true,\"id\":1}\n");
    CHECK_EQ(cluster_channel_send(c, "api", "a\"\\\n\x01\xc3\xa9", 7, CLUSTER_TEXT, NULL), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"send\",\"to\":\"api\",\"data\":\"a\\\"\\\\\\u000a\\u0001"
                       "\xc3\xa9\"}\n");
    CHECK_EQ(cluster_channel_publish(c, "a\"b", "null", 4, 0, &id), 0);
    CHECK_TEXT(said(),
               "{\"cluster\":\"publish\",\"topic\":\"a\\\"b\",\"data\":null,\"id\":2}\n");
    CHECK_EQ(cluster_channel_subscribe(c, "n.*", 0, NULL), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"subscribe\",\"topic\":\"n.*\"}\n");
    CHECK_EQ(cluster_channel_unsubscribe(c, "n.*", 0, &id), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"unsubscribe\",\"topic\":\"n.*\",\"id\":3}\n");
    CHECK_EQ(cluster_channel_request(c, "@site", "[]", 2, 250, 0, &id), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"request\",\"to\":\"@site\",\"data\":[],\"timeout_ms\":250,"
                       "\"id\":4}\n");
    CHECK_EQ(cluster_channel_reply(c, 9007199254740991, "true", 4, 0), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"reply\",\"id\":9007199254740991,\"data\":true}\n");
    CHECK_EQ(cluster_channel_refuse(c, 7, "no \"such\"", 0), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"reply\",\"id\":7,\"error\":\"no \\\"such\\\"\"}\n");
    CHECK_EQ(cluster_channel_post(c, "{\"type\":\"x\"}", 12, 0), 0);
    CHECK_TEXT(said(), "{\"type\":\"x\"}\n");
    CHECK_EQ(cluster_channel_ready(c), 0);
    CHECK_EQ(cluster_channel_status(c, "warm"), 0);
    CHECK_EQ(cluster_channel_heartbeat(c), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"ready\"}\n{\"cluster\":\"status\",\"text\":\"warm\"}\n"
                       "{\"cluster\":\"heartbeat\"}\n");
}

CASE(channel_messages_as_they_are_received) {
    cluster_channel* const c = channel();
    cluster_message m;
    CHECK_EQ(cluster_channel_receive(c, &m, 0), 0);
    CHECK_EQ(cluster_channel_receive(c, &m, 20), 0);
    say("{\"cluster\":\"message\",\"from\":\"api.0\",\"data\":{\"cluster\":\"reply\"}}\n"
        "{\"cluster\":\"message\",\"topic\":\"a\\u00e9\\n\",\"from\":\"api.0\",\"data\":\"t\"}\n"
        "{\"cluster\":\"request\",\"id\":9007199254740991,\"data\":[1,2]}\n"
        "{\"cluster\":\"reply\",\"id\":1,\"delivered\":3}\n"
        "{\"cluster\":\"reply\",\"id\":2,\"error\":\"time\\u0020out\"}\n"
        "{\"cluster\":\"reply\",\"id\":3,\"from\":\"api.1\",\"data\":null}\n"
        "{\"cluster\":\"reply\",\"id\":4,\"value\":true}\n"
        "{\"cluster\":\"dropped\",\"count\":12}\n{\"cluster\":\"stopping\",\"grace_ms\":10000}\n"
        "{\"type\":\"counter\",\"value\":5}\n\"shutdown\"\n"
        "{\"cluster\":\"of tomorrow\"}\n{\"cluster\":\"dropped\",\"count\":1}\n");
    m = received(c);
    CHECK_EQ(m.kind, CLUSTER_MESSAGE);
    CHECK_TEXT(m.from, "api.0");
    CHECK_TEXT(m.data, "{\"cluster\":\"reply\"}");
    CHECK_EQ(m.data_size, strlen(m.data));
    CHECK(m.topic == NULL && m.error == NULL);
    m = received(c);
    CHECK_TEXT(m.topic, "a\xc3\xa9\n");
    CHECK_TEXT(m.from, "api.0");
    char text[10] = "";
    CHECK_EQ(cluster_json_text(m.data, m.data_size, text, sizeof text), 1);
    CHECK_TEXT(text, "t");
    m = received(c);
    CHECK_EQ(m.kind, CLUSTER_REQUEST);
    CHECK_EQ(m.id, 9007199254740991);
    CHECK_TEXT(m.data, "[1,2]");
    CHECK(m.from == NULL);
    m = received(c);
    CHECK_EQ(m.kind, CLUSTER_REPLY);
    CHECK_EQ(m.id, 1);
    CHECK_EQ(m.number, 3);
    CHECK(m.data == NULL && m.error == NULL);
    m = received(c);
    CHECK_TEXT(m.error, "time out");
    m = received(c);
    CHECK_TEXT(m.from, "api.1");
    CHECK_TEXT(m.data, "null");
    m = received(c);
    CHECK_TEXT(m.data, "true");
    m = received(c);
    CHECK_EQ(m.kind, CLUSTER_DROPPED);
    CHECK_EQ(m.number, 12);
    m = received(c);
    CHECK_EQ(m.kind, CLUSTER_STOPPING);
    CHECK_EQ(m.number, 10000);
    m = received(c);
    CHECK_EQ(m.kind, CLUSTER_APPLICATION);
    CHECK_TEXT(m.data, "{\"type\":\"counter\",\"value\":5}");
    m = received(c);
    CHECK_TEXT(m.data, "\"shutdown\"");
    CHECK_EQ(cluster_channel_receive(c, &m, 0), -EBADMSG);
    CHECK_EQ(received(c).number, 1);
    CHECK_EQ(cluster_channel_receive(c, &m, 0), 0);
}

CASE(channel_lines_come_in_pieces_of_any_size) {
    cluster_channel* const c = channel();
    enum { kSize = 300000 };
    static char line[kSize + 100];
    memset(line, 'x', sizeof line);
    line[0] = line[kSize - 1] = '"';
    line[kSize] = '\n';
    const char small[] = "{\"cluster\":\"dropped\",\"count\":1}\n";
    memcpy(line + kSize + 1, small, strlen(small));
    const size_t all = kSize + 1 + strlen(small);
    cluster_message m;
    for (int round = 0; round < 2; ++round) {
        size_t sent = 0;
        int count = 0;
        while (count < 2) {
            if (sent < all) {
                const size_t part = all - sent < 7001 ? all - sent : 7001;
                const ssize_t taken = send(daemon_end, line + sent, part, MSG_DONTWAIT);
                if (taken > 0) sent += (size_t)taken;
            }
            const int code = cluster_channel_receive(c, &m, 0);
            CHECK(code >= 0);
            if (code == 0) continue;
            CHECK_EQ(m.kind, ++count == 1 ? CLUSTER_APPLICATION : CLUSTER_DROPPED);
            if (count == 1) CHECK_EQ(m.data_size, kSize);
        }
    }
}

CASE(channel_more_is_kept_until_it_is_sent) {
    cluster_channel* const c = channel();
    CHECK_EQ(send_text(c, "1", CLUSTER_MORE), 0);
    CHECK_EQ(send_text(c, "2", CLUSTER_MORE), 0);
    CHECK_TEXT(said(), "");
    CHECK_EQ(send_text(c, "3", 0), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"send\",\"to\":\"api.1\",\"data\":1}\n"
                       "{\"cluster\":\"send\",\"to\":\"api.1\",\"data\":2}\n"
                       "{\"cluster\":\"send\",\"to\":\"api.1\",\"data\":3}\n");
    CHECK_EQ(send_text(c, "4", CLUSTER_MORE), 0);
    CHECK_EQ(cluster_channel_flush(c, 0), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"send\",\"to\":\"api.1\",\"data\":4}\n");
    CHECK_EQ(send_text(c, "5", CLUSTER_MORE), 0);
    cluster_message m;
    CHECK_EQ(cluster_channel_receive(c, &m, 0), 0);
    CHECK_TEXT(said(), "{\"cluster\":\"send\",\"to\":\"api.1\",\"data\":5}\n");
}

CASE(channel_without_room_nothing_is_torn) {
    cluster_channel* const c = channel();
    static char data[70000];
    memset(data, '7', sizeof data);
    CHECK_EQ(cluster_channel_send(c, "a", data, 70000, CLUSTER_NOWAIT, NULL), -EMSGSIZE);
    int count = 0;
    int code;
    while ((code = cluster_channel_send(c, "a", data, 999, CLUSTER_NOWAIT, NULL)) == 0) ++count;
    CHECK_EQ(code, -EAGAIN);
    CHECK_EQ(cluster_channel_flush(c, 0), -EAGAIN);
    CHECK_EQ(cluster_channel_flush(c, 10), -EAGAIN);
    struct pollfd waiting = {.fd = cluster_channel_fd(c), .events = POLLOUT};
    CHECK_EQ(poll(&waiting, 1, 0), 0);
    const size_t line = strlen("{\"cluster\":\"send\",\"to\":\"a\",\"data\":}\n") + 999;
    size_t bytes = 0;
    size_t lines = 0;
    while (cluster_channel_flush(c, 0) == -EAGAIN || lines < (size_t)count) {
        const char* text = said();
        if (*text == '\0') break;
        bytes += strlen(text);
        for (; *text != '\0'; ++text) lines += *text == '\n';
    }
    CHECK_EQ(lines, count);
    CHECK_EQ(bytes, line * (size_t)count);
}

static void read_slowly(void) {
    size_t left = 70000 + strlen("{\"cluster\":\"send\",\"to\":\"a\",\"data\":}\n");
    for (char buffer[100]; left > 0;) {
        const ssize_t size = recv(daemon_end, buffer, sizeof buffer, 0);
        if (size <= 0) _exit(1);
        left -= (size_t)size;
    }
    _exit(0);
}

CASE(channel_waits_until_all_of_a_long_line_is_taken) {
    cluster_channel* const c = channel();
    const int small = 4096;
    CHECK_EQ(setsockopt(cluster_channel_fd(c), SOL_SOCKET, SO_SNDBUF, &small, sizeof small), 0);
    const pid_t pid = fork();
    if (pid == 0) read_slowly();
    static char data[70000];
    memset(data, '7', sizeof data);
    CHECK_EQ(cluster_channel_send(c, "a", data, sizeof data, 0, NULL), 0);
    int status = 1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

CASE(channel_says_when_it_is_closed) {
    cluster_channel* const c = channel();
    say("{\"cluster\":\"dropped\",\"count\":1}\n{\"cluster\":\"drop");
    close(daemon_end);
    CHECK_EQ(send_text(c, "1", 0), -EPIPE);
    CHECK_EQ(received(c).number, 1);
    cluster_message m;
    CHECK_EQ(cluster_channel_receive(c, &m, -1), -EPIPE);
    CHECK_EQ(cluster_channel_receive(c, &m, 0), -EPIPE);
    CHECK_EQ(cluster_channel_flush(c, 0), -EPIPE);
}

static void on_alarm(int number) {
    (void)number;
}

CASE(channel_receive_ends_with_a_signal) {
    cluster_channel* const c = channel();
    const struct sigaction action = {.sa_handler = on_alarm};
    CHECK_EQ(sigaction(SIGALRM, &action, NULL), 0);
    const struct itimerval soon = {.it_interval = {.tv_usec = 20000},
                                   .it_value = {.tv_usec = 20000}};
    CHECK_EQ(setitimer(ITIMER_REAL, &soon, NULL), 0);
    cluster_message m;
    CHECK_EQ(cluster_channel_receive(c, &m, -1), -EINTR);
}

CASE(channel_json_text) {
    char text[64];
    CHECK_EQ(cluster_json_text("\"\\u00e9\\ud83d\\ude00\\n\"", 22, text, sizeof text), 7);
    CHECK(memcmp(text, "\xc3\xa9\xf0\x9f\x98\x80\n", 7) == 0);
    CHECK_EQ(cluster_json_text("\"\"", 2, text, sizeof text), 0);
    CHECK_EQ(cluster_json_text("5", 1, text, sizeof text), -EMEDIUMTYPE);
    CHECK_EQ(cluster_json_text("\"", 1, text, sizeof text), -EMEDIUMTYPE);
    CHECK_EQ(cluster_json_text("\"a\" \"b\"", 7, text, sizeof text), -EMEDIUMTYPE);
    CHECK_EQ(cluster_json_text("\"abc\"", 5, text, 4), -ERANGE);
    CHECK_EQ(cluster_json_text(NULL, 0, text, 4), -EINVAL);
    strcpy(text, "\"in \\u0061 place\"");
    CHECK_EQ(cluster_json_text(text, strlen(text), text, sizeof text), 10);
    CHECK(memcmp(text, "in a place", 10) == 0);
}
