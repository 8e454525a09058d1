/* Opening a store: with none, with something else in its place, through the attach socket. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "check.h"

static int try_open(unsigned flags) {
    cluster_store* opened = NULL;
    const int code = cluster_store_open(flags, &opened);
    CHECK((code == 0) == (opened != NULL));
    cluster_store_close(opened);
    return code;
}

static void write_header(size_t offset, const void* bytes, size_t size) {
    char* page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, inherited().fd, 0);
    CHECK(page != MAP_FAILED);
    memcpy(page + offset, bytes, size);
    munmap(page, 4096);
}

CASE(outside_of_clusterd) {
    unsetenv("CLUSTER_STORE");
    CHECK_EQ(try_open(0), -ENOTCONN);
    CHECK(strstr(cluster_error_text(-ENOTCONN), "clusterctl start") != NULL);
    setenv("CLUSTER_STORE", "", 1);
    CHECK_EQ(try_open(0), -ENOTCONN);
}

CASE(invalid_arguments) {
    CHECK_EQ(cluster_store_open(0, NULL), -EINVAL);
    CHECK_EQ(try_open(2), -EINVAL);
    CHECK_EQ(cluster_store_join(NULL), -EINVAL);
    CHECK_EQ(cluster_table_get(NULL, "k", 1, NULL, 0, NULL), -EINVAL);
    CHECK_EQ(cluster_table_get(store(), "k", 1, NULL, 8, NULL), -EINVAL);
    CHECK_EQ(cluster_table_set(store(), "k", 1, "v", 1, -1, NULL), -EINVAL);
    CHECK_EQ(cluster_table_cas(store(), "k", 1, "v", 1, 0, NULL), -EINVAL);
    cluster_counter* opened;
    CHECK_EQ(cluster_counter_open(store(), "n", 0, &opened), -EINVAL);
    CHECK_EQ(cluster_counter_open(store(), NULL, CLUSTER_ATOMIC, &opened), -EINVAL);
    cluster_stats stats;
    CHECK_EQ(cluster_store_stats(store(), &stats, 0), -EINVAL);
    cluster_store_close(NULL);
    cluster_store_leave(NULL);
}

CASE(malformed_variable) {
    const address good = inherited();
    const char* texts[] = {"v2:3:4:5", "3:4:5",     "v1:",       "v1:3:4",    "v1:3:4:5:6",
                           "v1:x:4:5", "v1:-3:4:5", "v1:3:4:5 ", "v1: 3:4:5", "v1:99999999999:4:5",
                           "v1:3:04:5"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; ++i) {
        setenv("CLUSTER_STORE", texts[i], 1);
        CHECK_EQ(try_open(0), -EINVAL);
    }
    say_address(good);
    CHECK_EQ(try_open(0), 0);
}

CASE(descriptor_that_is_not_ours) {
    const address good = inherited();
    const int kept = dup(good.fd);
    close(good.fd);
    CHECK_EQ(try_open(0), -EBADF);
    CHECK_EQ(dup2(open("/dev/null", O_RDWR), good.fd), good.fd);
    CHECK_EQ(try_open(0), -EBADF);
    /* A memory file that is not sealed could be cut under our feet, so it is none of ours. */
    const int other = memfd_create("other", MFD_ALLOW_SEALING);
    CHECK_EQ(ftruncate(other, 16 << 20), 0);
    struct stat info;
    CHECK_EQ(fstat(other, &info), 0);
    say_address((address){.fd = other, .inode = info.st_ino, .generation = good.generation});
    CHECK_EQ(try_open(0), -EBADF);
    /* Sealed, but no store. */
    CHECK_EQ(fcntl(other, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW), 0);
    CHECK_EQ(try_open(0), -EBADF);
    /* Another store than the one that is meant. */
    say_address((address){.fd = kept, .inode = good.inode, .generation = good.generation + 1});
    CHECK_EQ(try_open(0), -EBADF);
    say_address((address){.fd = kept, .inode = good.inode, .generation = good.generation});
    CHECK_EQ(try_open(0), 0);
}

CASE(other_layout_version) {
    const uint32_t version = 2;
    write_header(8, &version, sizeof version);
    CHECK_EQ(try_open(0), -EPROTONOSUPPORT);
    CHECK_EQ(try_open(CLUSTER_READ_ONLY), -EPROTONOSUPPORT);
}

CASE(header_that_contradicts_itself) {
    const uint64_t offset = 4096 * 3;
    write_header(128 + 32 * 8 + 8, &offset, sizeof offset);
    CHECK_EQ(try_open(0), -EBADMSG);
}

CASE(opened_for_reading_only) {
    CHECK_EQ(set("k", "v"), 0);
    CHECK_EQ(cluster_counter_set(counter("n"), 5), 0);
    cluster_store* reader = NULL;
    CHECK_EQ(cluster_store_open(CLUSTER_READ_ONLY, &reader), 0);
    char byte = 0;
    CHECK_EQ(cluster_table_get(reader, "k", 1, &byte, 1, NULL), 0);
    CHECK_EQ(byte, 'v');
    CHECK_EQ(cluster_table_set(reader, "k", 1, "w", 1, 0, NULL), -EROFS);
    CHECK_EQ(cluster_table_delete(reader, "k", 1), -EROFS);
    CHECK_EQ(cluster_table_incr(reader, "n", 1, 1, NULL), -EROFS);
    CHECK_EQ(cluster_store_join(reader), -EROFS);
    cluster_counter *known = NULL, *unknown = NULL;
    CHECK_EQ(cluster_counter_open(reader, "n", CLUSTER_ATOMIC, &known), 0);
    CHECK_EQ(cluster_counter_get(known), 5);
    CHECK_EQ(cluster_counter_add(known, 1, NULL), -EROFS);
    CHECK_EQ(cluster_counter_set(known, 1), -EROFS);
    int64_t expected = 5;
    CHECK_EQ(cluster_counter_compare_exchange(known, &expected, 6), -EROFS);
    CHECK_EQ(cluster_counter_open(reader, "m", CLUSTER_ATOMIC, &unknown), -EROFS);
    CHECK_EQ(cluster_counter_get(counter("n")), 5);
    cluster_store_close(reader);
}

CASE(descriptor_that_may_only_be_read) {
    address only = inherited();
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", only.fd);
    only.fd = open(path, O_RDONLY);
    CHECK(only.fd >= 0);
    say_address(only);
    CHECK_EQ(try_open(0), -EACCES);
    CHECK_EQ(try_open(CLUSTER_READ_ONLY), 0);
}

CASE(opened_twice_it_is_the_same_store) {
    cluster_store* second = NULL;
    CHECK_EQ(cluster_store_open(0, &second), 0);
    CHECK_EQ(set("k", "first"), 0);
    CHECK_EQ(cluster_table_replace(second, "k", 1, "second", 6, 0, NULL), 0);
    CHECK(strcmp(get("k"), "second") == 0);
    cluster_store_close(second);
    CHECK_EQ(set("k", "again"), 0);
}

CASE(opened_and_closed_it_leaves_nothing_behind) {
    for (int i = 0; i < 200; ++i) {
        cluster_store* each = NULL;
        CHECK_EQ(cluster_store_open(0, &each), 0);
        CHECK_EQ(cluster_table_set(each, "k", 1, "v", 1, 0, NULL), 0);
        cluster_counter* opened = NULL;
        CHECK_EQ(cluster_counter_open(each, "n", CLUSTER_ATOMIC, &opened), 0);
        cluster_store_close(each);
    }
    cluster_stats stats;
    CHECK_EQ(cluster_store_stats(store(), &stats, sizeof stats), 0);
    CHECK_EQ(stats.participants, 0);
    CHECK_EQ(stats.counters, 1);
}

/* --- CLUSTER_SOCKET: what ATTACH.md says, written down once more -------------------------------
 */

typedef struct {
    uint32_t magic;
    uint16_t version, code, items, item_bytes;
    uint32_t zero;
    struct {
        uint16_t kind, zeros[3];
        uint64_t inode, generation, zero;
    } item[2];
} answer;

static char socket_path[108];

static int listen_at_path(void) {
    char directory[] = "/tmp/cluster-abi-XXXXXX";
    CHECK(mkdtemp(directory) != NULL);
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    snprintf(socket_path, sizeof socket_path, "%s/attach", directory);
    strcpy(place.sun_path, socket_path);
    const int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    CHECK_EQ(bind(listener, (struct sockaddr*)&place, sizeof place), 0);
    CHECK_EQ(listen(listener, 8), 0);
    setenv("CLUSTER_SOCKET", socket_path, 1);
    return listener;
}

static void forget_path(void) {
    unlink(socket_path);
    *strrchr(socket_path, '/') = '\0';
    rmdir(socket_path);
}

/* In a child: accepts so many connections and gives each the same answer; none when `size` is 0. */
static pid_t serve(int listener, int connections, const answer* what, size_t size, const int* fds,
                   size_t fd_count) {
    const pid_t pid = fork();
    if (pid != 0) return pid;
    for (int i = 0; i < connections; ++i) {
        const int peer = accept(listener, NULL, NULL);
        struct iovec bytes = {(void*)what, size};
        union {
            char space[CMSG_SPACE(4 * sizeof(int))];
            struct cmsghdr aligned;
        } control;
        struct msghdr message = {.msg_iov = &bytes, .msg_iovlen = 1};
        if (fd_count != 0) {
            message.msg_control = control.space;
            message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
            struct cmsghdr* head = CMSG_FIRSTHDR(&message);
            *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
                                     .cmsg_type = SCM_RIGHTS,
                                     .cmsg_len = CMSG_LEN(fd_count * sizeof(int))};
            memcpy(CMSG_DATA(head), fds, fd_count * sizeof(int));
        }
        if (size != 0 && sendmsg(peer, &message, 0) < 0) _exit(1);
        close(peer);
    }
    _exit(0);
}

static void end_of(pid_t pid) {
    int status = 1;
    CHECK_EQ(waitpid(pid, &status, 0), pid);
    CHECK_EQ(status, 0);
}

static answer answer_of(uint16_t items, address what) {
    answer all = {.magic = 0x41544331, .version = 1, .items = items, .item_bytes = 32};
    all.item[0].kind = 2; /* the channel, which is not for us */
    all.item[1].kind = 1;
    all.item[1].inode = what.inode;
    all.item[1].generation = what.generation;
    return all;
}

CASE(asks_the_socket_when_the_descriptor_is_closed) {
    const address good = inherited();
    CHECK_EQ(set("k", "v"), 0);
    const int kept = dup(good.fd);
    const int listener = listen_at_path();
    const int fds[2] = {listener, kept};
    const answer all = answer_of(2, good);
    const pid_t pid = serve(listener, 2, &all, sizeof all, fds, 2);
    close(good.fd);
    cluster_store* opened = NULL;
    CHECK_EQ(cluster_store_open(0, &opened), 0);
    char byte = 0;
    CHECK_EQ(cluster_table_get(opened, "k", 1, &byte, 1, NULL), 0);
    CHECK_EQ(byte, 'v');
    cluster_store_close(opened);
    unsetenv("CLUSTER_STORE");
    CHECK_EQ(try_open(0), 0);
    end_of(pid);
    /* Neither the descriptors that came nor the connection stay open. */
    CHECK_EQ(dup(0), good.fd);
    forget_path();
}

CASE(the_socket_refuses_or_answers_nonsense) {
    const address good = inherited();
    const int kept = dup(good.fd);
    close(good.fd);
    const int listener = listen_at_path();
    const int fds[2] = {kept, kept};
    answer refusal = answer_of(0, good);
    refusal.code = EACCES;
    const answer empty = answer_of(0, good);
    answer other_version = empty;
    other_version.version = 2;
    const answer all = answer_of(2, good);
    answer other_generation = all;
    ++other_generation.item[1].generation;
    const struct {
        const answer* what;
        size_t size, fd_count;
        int connections, expected;
    } rounds[] = {
        {&refusal, 16, 0, 1, -EACCES},
        {&empty, 16, 0, 1, -ENOTCONN},
        {&other_version, 16, 0, 1, -EPROTO},
        {&all, 8, 0, 1, -EPROTO},
        {&all, sizeof all, 1, 1, -EPROTO},
        {&all, sizeof all - 1, 2, 1, -EPROTO},
        {&other_generation, sizeof all, 2, 1, -EBADF},
        {&all, 0, 0, 3, -ECONNRESET},
    };
    for (size_t i = 0; i < sizeof rounds / sizeof *rounds; ++i) {
        const pid_t pid = serve(listener, rounds[i].connections, rounds[i].what, rounds[i].size,
                                fds, rounds[i].fd_count);
        CHECK_EQ(try_open(0), rounds[i].expected);
        end_of(pid);
    }
    close(listener);
    CHECK_EQ(try_open(0), -ECONNREFUSED);
    unlink(socket_path);
    CHECK_EQ(try_open(0), -ENOENT);
    forget_path();
}
