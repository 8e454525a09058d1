/*
 * cluster.h: what a worker of clusterd shares with the others, and says to them.
 *
 * The store is one segment of shared memory that clusterd hands to every worker: named counters of
 * 64 bits, and a table of keys and values. The channel carries messages between workers. This is
 * the whole of libcluster; C11, and C++ as it is.
 *
 * Conventions, true for every function below:
 *
 * 1. A function that can fail returns 0 (or what its text says), or an errno as a negative number.
 *    cluster_error_text says what it means here and what to do. Out parameters that may be NULL say
 *    so; where a function fails they are left as they were, unless its text says otherwise.
 * 2. Handles are opaque. Any thread may use any handle of the store at any time, but for closing it;
 *    a channel is for one thread at a time.
 * 3. After fork the child may go on with every handle of the store, which it joins again by itself;
 *    a channel goes on in one of the two. Between vfork and exec nothing here may be called. Nothing
 *    here is for signal handlers, except cluster_counter_add and its like on a counter of the atomic
 *    kind.
 * 4. No thread is started, no signal is used, no lock is held: a process that is killed or stopped
 *    inside of any function harms and blocks nobody.
 * 5. Sizes are in bytes, times in milliseconds. Keys and values are bytes; counters' names are
 * UTF-8.
 * 6. What is in the store was written by other processes: it is checked, and never trusted. Errors
 *    that come only of a process that scribbles in it are -EBADMSG and -EBUSY.
 *
 * Every thread that changes something (but not one that only reads, or uses counters of the atomic
 * kind) takes one of the store's places for participants at its first change, and gives it back
 * when it ends. When all are taken by living threads, that is -EUSERS; [store] participants in the
 * configuration of the daemon says how many there are (1024).
 */
#ifndef CLUSTER_H
#define CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif
#ifdef __GNUC__ /* whatever the program that includes this says about its own symbols */
#pragma GCC visibility push(default)
#endif

/** The version of this header. */
#define CLUSTER_VERSION_MAJOR 0
#define CLUSTER_VERSION_MINOR 1
#define CLUSTER_VERSION_PATCH 0

/** The version of the library that runs, as "0.1.0". */
const char* cluster_version(void);

/**
 * What an error of this library means and what to do about it, in English, without a newline. Takes
 * what a function returned, or the errno itself. Never NULL; nothing to free.
 */
const char* cluster_error_text(int error);

/* --- the store ------------------------------------------------------------------------------- */

typedef struct cluster_store cluster_store;

/** Flag of cluster_store_open: map the segment for reading only. Every change is then -EROFS. */
#define CLUSTER_READ_ONLY 1u

/**
 * Opens the store that clusterd gave to this process: the descriptor that CLUSTER_STORE names, if
 * it still is that segment; else (a wrapper has closed it, or it is something else by now) it asks
 * CLUSTER_SOCKET for another one, which takes at most 5 seconds. The inherited descriptor stays
 * open, for the children of this process. A process may open it more than once, to no advantage.
 *
 * Errors: -ENOTCONN outside of clusterd, where neither variable is set, and in a worker with
 * store = false; -EINVAL unknown flags, or text in CLUSTER_STORE that is not its format; -EBADF the
 * descriptor is not that segment, and there is no CLUSTER_SOCKET to ask; -EPROTONOSUPPORT another
 * layout version: this library and the daemon do not fit; -EBADMSG a segment that contradicts
 * itself; -EACCES the daemon does not know this process as one of the worker's, or the segment may
 * not be written; -ETIMEDOUT the daemon did not answer; -ENOENT, -ECONNREFUSED the instance, or the
 * daemon, is gone; -EPROTO it answered nonsense; -ENOMEM.
 */
int cluster_store_open(unsigned flags, cluster_store** store);

/**
 * Closes a handle, and every counter that was opened with it. Requires: no other thread uses them
 * any more. NULL is allowed. Places of other threads are given back when those threads end.
 */
void cluster_store_close(cluster_store* store);

/**
 * Takes a place for the calling thread now, so that no later change of this thread fails with
 * -EUSERS. Not needed otherwise. Errors: -EUSERS; -EROFS; -ENOMEM.
 */
int cluster_store_join(cluster_store* store);

/** Gives the place of the calling thread back before the thread ends. Its next change takes one. */
void cluster_store_leave(cluster_store* store);

/** Blocks of one size. */
typedef struct cluster_class_stats {
    uint64_t block_bytes;
    uint64_t used_blocks;
    uint64_t free_blocks; /* of the memory that this size has so far */
} cluster_class_stats;

#define CLUSTER_CLASSES 48

typedef struct cluster_stats {
    uint64_t segment_bytes;
    uint64_t generation; /* random; tells this segment from any other */
    uint64_t keys;  /* entries of the table, those that expired and are still to be swept too */
    uint64_t bytes; /* of their keys and values */
    uint64_t counters;
    uint64_t counters_limit;
    uint64_t participants; /* places that are taken */
    uint64_t participants_limit;
    uint64_t unassigned_bytes;     /* memory that has no size of blocks yet */
    uint64_t settled_participants; /* dead ones whose place was cleaned up */
    uint64_t settled_blocks;       /* given back for them */
    cluster_class_stats classes[CLUSTER_CLASSES];
} cluster_stats;

/**
 * Counts what is in the store by looking at all of it, which takes about 10 ms for 64 MiB. Exact
 * when nobody writes meanwhile, else a picture of no single moment. `size` is
 * sizeof(cluster_stats): a later library fills what this caller knows. Errors: -EINVAL size 0.
 */
int cluster_store_stats(const cluster_store* store, cluster_stats* stats, size_t size);

/* --- counters -------------------------------------------------------------------------------- */

/*
 * A counter is a signed number of 64 bits with a name. It begins with 0, lives as long as the
 * daemon (over every restart and upgrade), and wraps around as two's complement.
 *
 * atomic:  one number. Every operation is one locked instruction, and atomic with every other on
 *          that counter (sequentially consistent).
 * striped: for much counting by many: every thread adds to a cell of its own, without a lock, and
 *          reading sums the cells. It can be added to and read, nothing else. A sum misses no
 *          addition that ended before the reading began.
 */

typedef struct cluster_counter cluster_counter;

#define CLUSTER_ATOMIC 1u
#define CLUSTER_STRIPED 2u

/** Longest name of a counter, in bytes, without its end. */
#define CLUSTER_MAX_COUNTER_NAME 128

/**
 * The counter of that name, made if there is none. The handle belongs to the store's: there is
 * nothing to close, and opening the same name again gives the same handle. Look a name up once, and
 * keep the handle. Kept names are never removed.
 *
 * Errors: -EINVAL empty name, unknown kind; -ENAMETOOLONG; -EILSEQ not UTF-8; -EMEDIUMTYPE there is
 * one of the other kind; -ENFILE the counter table is full, or that of striped ones ([store]
 * counters, 4096; 64 striped ones), and no name is kept, unless several wanted the last striped one
 * at once; -ENOSPC no memory left for the name; -EUSERS; -EROFS there is none, and the store is open
 * for reading only; -ENOMEM; -EBADMSG.
 */
int cluster_counter_open(cluster_store* store, const char* name, unsigned kind,
                         cluster_counter** counter);

/**
 * Adds, and says the new value unless `value` is NULL. Errors: -EROFS; striped only: -EOPNOTSUPP
 * when `value` is not NULL; -EUSERS.
 */
int cluster_counter_add(cluster_counter* counter, int64_t amount, int64_t* value);

/** Atomic kind: exact. Striped: the sum over all participants that ever were. Cannot fail. */
int64_t cluster_counter_get(const cluster_counter* counter);

/* Of the atomic kind only. Errors: -EOPNOTSUPP for a striped one; -EROFS. */

int cluster_counter_set(cluster_counter* counter, int64_t value);
/** `before` may be NULL. */
int cluster_counter_exchange(cluster_counter* counter, int64_t value, int64_t* before);
/** Returns 1 when it was `*expected` and is `desired` now; else 0, and `*expected` says what it is.
 */
int cluster_counter_compare_exchange(cluster_counter* counter, int64_t* expected, int64_t desired);

/**
 * Where the number of a counter of the atomic kind lies in this process's memory, for a language
 * that has atomic instructions of its own: aligned to 64 bytes, valid until the store is closed.
 * Access it by atomic operations only. NULL for a striped one.
 */
int64_t* cluster_counter_address(const cluster_counter* counter);

/**
 * The array of all numbers of the atomic kind: `*bytes` long, one every 64 bytes. That of a counter
 * is at cluster_counter_index of its handle × 64; write to no other. For bindings that offer it as
 * an array of their language. Never NULL.
 */
int64_t* cluster_counter_array(const cluster_store* store, size_t* bytes);
/** The place of a counter, 0 to [store] counters - 1; the same in every process. */
uint32_t cluster_counter_index(const cluster_counter* counter);

/**
 * The calling thread's cell in a striped counter: what a loop keeps so that an addition is one
 * instruction without a lock. To be used by the thread that asked, only while that has not left.
 */
typedef struct cluster_stripe {
    void* opaque[3];
} cluster_stripe;

/** Errors: -EOPNOTSUPP for one of the atomic kind; -EUSERS; -EROFS; -ENOMEM. */
int cluster_counter_stripe(cluster_counter* counter, cluster_stripe* stripe);
/** Errors: -ESTALE, and nothing added, after a fork or cluster_store_leave: ask for it again. */
int cluster_stripe_add(const cluster_stripe* stripe, int64_t amount);

typedef struct cluster_counter_item {
    char name[CLUSTER_MAX_COUNTER_NAME + 1]; /* ends with a zero byte */
    unsigned kind;
    uint32_t index;
    int64_t value;
} cluster_counter_item;

/**
 * Lists counters: `*at` is 0 at the beginning. Returns 1 with an item, 0 at the end. One that is
 * made meanwhile may come or not.
 */
int cluster_counter_next(const cluster_store* store, uint32_t* at, cluster_counter_item* item);

/* --- areas ----------------------------------------------------------------------------------- */

#define CLUSTER_MAX_AREA_BYTES 524128

/**
 * Memory with a name: the area of that name, made and zeroed if there is none. It is the same for
 * everybody who opens it, stays for the life of the store, and is aligned to 8 bytes. Nothing here
 * takes care of what is in it: change it by atomic instructions, and let its size be part of its name
 * if that may ever change. Names are those of counters, and share their table.
 *
 * Errors: -EFBIG more than CLUSTER_MAX_AREA_BYTES; -EINVAL no byte, or an empty name; -ENAMETOOLONG;
 * -EILSEQ not UTF-8; -EMEDIUMTYPE the name is that of a counter, or of an area of another size;
 * -ENFILE no place for a name; -ENOSPC no memory; -EROFS; -EUSERS.
 */
int cluster_area_open(cluster_store* store, const char* name, size_t bytes, void** area);

/* --- table ----------------------------------------------------------------------------------- */

/*
 * Every operation is atomic with every other on the same key: a reader sees the old value or the
 * new one, whole, and never waits. Nothing is atomic over two keys.
 *
 * Errors of every function with a key, beside its own: -EINVAL empty key; -ENAMETOOLONG key above
 * CLUSTER_MAX_KEY_BYTES; -EBADMSG and -EBUSY, only when somebody scribbles in the store. Of every
 * one that changes something: -EROFS; -EUSERS; -ENOMEM (of this process); -ENOSPC the store is
 * full; -EFBIG the value is larger than CLUSTER_MAX_VALUE_BYTES (a little more fits beside a short
 * key); -EINVAL a negative time to live.
 *
 * `ttl_ms` is how long the entry lives, 0 for ever, exact to about 10 ms. After that it is not there
 * for anybody. Its memory comes back some seconds later, and at the latest when others want it: a
 * writer of a full store takes some milliseconds to clear a part of it before -ENOSPC is said.
 */

#define CLUSTER_MAX_KEY_BYTES 1024
#define CLUSTER_MAX_VALUE_BYTES 523232

/** What was found. */
typedef struct cluster_value {
    size_t size;    /* of the whole value, also where it did not fit */
    uint64_t token; /* names this very value of this key, for cluster_table_cas; never 0 */
    int64_t ttl_ms; /* how long it still lives, at least 1; 0 is for ever */
} cluster_value;

/**
 * Copies the value into `buffer`. With a capacity of 0 it only looks; `buffer` may be NULL then.
 * `value` may be NULL. Errors: -ENOENT no such key; -ERANGE it is larger than `capacity`: `value`
 * is filled in, and the buffer has its beginning.
 */
int cluster_table_get(const cluster_store* store, const void* key, size_t key_size, void* buffer,
                      size_t capacity, cluster_value* value);

/** Writes the key, whether it is there or not. `token`, here and below, may be NULL. */
int cluster_table_set(cluster_store* store, const void* key, size_t key_size, const void* value,
                      size_t value_size, int64_t ttl_ms, uint64_t* token);
/** Only where the key is not there. Errors: -EEXIST. */
int cluster_table_add(cluster_store* store, const void* key, size_t key_size, const void* value,
                      size_t value_size, int64_t ttl_ms, uint64_t* token);
/** Only where it is. Errors: -ENOENT. */
int cluster_table_replace(cluster_store* store, const void* key, size_t key_size, const void* value,
                          size_t value_size, int64_t ttl_ms, uint64_t* token);
/**
 * Only where the key still has the value that `*token` names; then `*token` names the new one.
 * Errors: -ENOENT no such key; -ESTALE somebody has changed it.
 */
int cluster_table_cas(cluster_store* store, const void* key, size_t key_size, const void* value,
                      size_t value_size, int64_t ttl_ms, uint64_t* token);

/** Errors: -ENOENT. */
int cluster_table_delete(cluster_store* store, const void* key, size_t key_size);
/**
 * Copies the value out and removes the key, in one step. Errors: -ENOENT; -ERANGE it is larger than
 * `capacity`: it stays, and `value`, which may be NULL, says its size.
 */
int cluster_table_getdel(cluster_store* store, const void* key, size_t key_size, void* buffer,
                         size_t capacity, cluster_value* value);

/**
 * Adds to a value that is a decimal number, as text, of 64 bits with a sign ("-17"); a key that is
 * not there counts as 0. It keeps its time to live. `number`, which may be NULL, is the new one.
 * Errors: -EMEDIUMTYPE the value is no such number; -EOVERFLOW.
 */
int cluster_table_incr(cluster_store* store, const void* key, size_t key_size, int64_t delta,
                       int64_t* number);

/** Where an iteration stands. All zero is the beginning. */
typedef struct cluster_cursor {
    uint64_t opaque[4];
} cluster_cursor;

typedef struct cluster_item {
    size_t key_size;
    cluster_value value;
} cluster_item;

/**
 * The next entry of an iteration over all of the table: returns 1, or 0 at the end. A key that is
 * there from the beginning to the end comes exactly once; one that is added, removed or changed
 * meanwhile may come or not. The value is copied as far as `capacity` goes; `item` says its size.
 * Errors: -EINVAL key_capacity below CLUSTER_MAX_KEY_BYTES.
 */
int cluster_table_next(const cluster_store* store, cluster_cursor* cursor, void* key,
                       size_t key_capacity, void* buffer, size_t capacity, cluster_item* item);

/* --- the channel ----------------------------------------------------------------------------- */

/*
 * Messages to the other workers, of this language or any other, over the channel that clusterd gives
 * to every worker. Data is JSON text: what is given is checked, and what comes is as its sender
 * wrote it. Order is kept per pair of sender and receiver; a message is delivered once or not at
 * all. CHANNEL.md of clusterd has all of it.
 *
 * Nothing runs in the background: what came in is taken by cluster_channel_receive, and a program
 * with a loop of its own waits on cluster_channel_fd. Memory is taken by cluster_channel_open (128
 * KiB), and by cluster_channel_receive when a line comes that is longer than any before.
 *
 * Errors of every function that sends, beside its own: -EPIPE the channel is closed; -EINVAL unknown
 * flags, a NULL that may not be, an empty receiver or topic; -ENAMETOOLONG a receiver above 256
 * bytes, a topic above 126; -EILSEQ data that is not exactly one JSON value (at most 100 deep), text
 * that is not UTF-8; with CLUSTER_NOWAIT -EAGAIN there is no room now, and nothing of it was taken,
 * and -EMSGSIZE it never fits the 64 KiB that are kept. A line that is longer than [channel] max_line
 * of the configuration (1 MiB) is thrown away by the daemon, and counted.
 *
 * `id` may be NULL. Else it is set, and an answer to this very call comes as a CLUSTER_REPLY with it:
 * of how many the message has reached, or what was wrong.
 */

typedef struct cluster_channel cluster_channel;

/** The message is delivered as it is, without saying from whom: what process.send of Node sends. */
#define CLUSTER_RAW 1u
/** Data is any UTF-8 text, and is sent as a JSON string. */
#define CLUSTER_TEXT 2u
/**
 * More follows at once: the message is kept, up to 64 KiB of them, and goes out with the next one
 * that does not say so, or with cluster_channel_flush or cluster_channel_receive. One call of the
 * system then takes hundreds of small messages.
 */
#define CLUSTER_MORE 4u
/**
 * Never waits. What the system does not take now goes out with a later call; until then
 * cluster_channel_flush says -EAGAIN, and the descriptor is to be polled for writing too. Without
 * it a function waits until the daemon has taken all of it: normally not at all, and for some
 * milliseconds while the supervisor is being replaced.
 */
#define CLUSTER_NOWAIT 8u

/**
 * Opens the channel of this process: the descriptor that CLUSTER_CHANNEL_FD names, else (a wrapper
 * has closed it) a new one that CLUSTER_SOCKET gives, within 5 seconds; then whoever had it before
 * finds it closed. Programs that this one starts do not get it. There is one in a process. `flags`
 * is 0.
 *
 * Errors: -ENOTCONN outside of clusterd, and in a worker with channel = false; -EBUSY it is open
 * already; -EBADF the descriptor is none, and there is no CLUSTER_SOCKET to ask; -EINVAL unknown
 * flags, or text in CLUSTER_CHANNEL_FD that is no number; -ENOMEM; those of CLUSTER_SOCKET, as for
 * cluster_store_open.
 */
int cluster_channel_open(unsigned flags, cluster_channel** channel);

/** Closes it: this process takes no further part. What is still kept is lost. NULL is allowed. */
void cluster_channel_close(cluster_channel* channel);

/**
 * To wait on by poll, select or epoll. It may have been read beyond the message that was received
 * last: call cluster_channel_receive with 0 until that says 0, then wait. Do not read from it.
 */
int cluster_channel_fd(const cluster_channel* channel);

/**
 * To all that the selector names: "api.2", "api", "@site", "all", globs; the sender is left out
 * unless it is named itself. `flags`: all four.
 */
int cluster_channel_send(cluster_channel* channel, const char* to, const char* data, size_t size,
                         unsigned flags, uint64_t* id);

/** To all who subscribed to the topic, once each. `flags`: all four. */
int cluster_channel_publish(cluster_channel* channel, const char* topic, const char* data,
                            size_t size, unsigned flags, uint64_t* id);

/** What is published under the topic comes from now on. `*`, `?` and `[...]` make a pattern; at most
 * 64 of them. `flags`: CLUSTER_MORE, CLUSTER_NOWAIT. */
int cluster_channel_subscribe(cluster_channel* channel, const char* topic, unsigned flags,
                              uint64_t* id);
/** Undoes a subscribe with the same text. */
int cluster_channel_unsubscribe(cluster_channel* channel, const char* topic, unsigned flags,
                                uint64_t* id);

/**
 * To one that the selector names, which is to answer: a CLUSTER_REPLY with this id comes in any case,
 * after `timeout_ms` at the latest (0: [channel] request_timeout of the configuration, 10 s; at most
 * a day). At most 256 may wait. `flags`: CLUSTER_TEXT, CLUSTER_MORE, CLUSTER_NOWAIT. Errors: -EINVAL
 * `id` is NULL, or the time is out of range.
 */
int cluster_channel_request(cluster_channel* channel, const char* to, const char* data,
                            size_t size, int64_t timeout_ms, unsigned flags, uint64_t* id);

/** The answer to a CLUSTER_REQUEST, with its id. `flags`: as for a request. */
int cluster_channel_reply(cluster_channel* channel, uint64_t request, const char* data, size_t size,
                          unsigned flags);
/** The same, but the answer is an error: a text of 1 to 512 bytes. */
int cluster_channel_refuse(cluster_channel* channel, uint64_t request, const char* text,
                           unsigned flags);

/**
 * A line as it is: a message of the application, which the rules of [[channel.rule]] look at, or one
 * of CHANNEL.md that has no function here. `flags`: all but CLUSTER_RAW.
 */
int cluster_channel_post(cluster_channel* channel, const char* data, size_t size, unsigned flags);

/** This worker is ready: ready = "channel" in its table. */
int cluster_channel_ready(cluster_channel* channel);
/** A line for clusterctl status; 512 bytes of it are kept. */
int cluster_channel_status(cluster_channel* channel, const char* text);
/** This worker is alive. */
int cluster_channel_heartbeat(cluster_channel* channel);

/**
 * Sends what is kept. Waits for at most `timeout_ms` (-1: for ever). Errors: -EAGAIN some of it is
 * still there; -EPIPE; -EINTR a signal came.
 */
int cluster_channel_flush(cluster_channel* channel, int timeout_ms);

#define CLUSTER_MESSAGE 1u     /* sent or published by another worker */
#define CLUSTER_REQUEST 2u     /* likewise, and it waits for cluster_channel_reply */
#define CLUSTER_REPLY 3u       /* to a call that gave an id */
#define CLUSTER_DROPPED 4u     /* `number` messages were thrown away, as they were not read in time */
#define CLUSTER_STOPPING 5u    /* this worker ends in `number` ms: who subscribed "cluster.stopping" */
#define CLUSTER_APPLICATION 6u /* came without an envelope: raw, by clusterctl, or "shutdown" */

/** Texts end with a zero byte, are NULL where there is none, and stay until the next receive. */
typedef struct cluster_message {
    unsigned kind;
    unsigned reserved;
    uint64_t id;       /* of a request, for the reply to it; of a reply, what its call gave */
    const char* from;  /* "api.0"; NULL: clusterctl, or the daemon itself */
    const char* topic; /* NULL: it was not published */
    const char* data;  /* JSON text */
    size_t data_size;
    const char* error; /* of a reply: what was wrong. "timeout": nobody answered in time */
    int64_t number;    /* see above; of a reply to send and publish: how many it has reached */
} cluster_message;

/**
 * Takes the next message. Sends first what is kept. Waits for at most `timeout_ms` (0: not at all;
 * -1: for ever). Returns 1 with a message, 0 when none came. Errors: -EPIPE the channel is closed,
 * and everything that came before was received; -EINTR a signal came; -ENOMEM for a line that is
 * longer than any before; -EBADMSG the daemon sent what this library does not know.
 */
int cluster_channel_receive(cluster_channel* channel, cluster_message* message, int timeout_ms);

/**
 * The characters of a JSON string, as of `data`. Writes at most `size` bytes, without a zero byte at
 * the end; `text` may be where the JSON is. Returns how many. Errors: -EMEDIUMTYPE it is no string;
 * -ERANGE `capacity` is below `size`.
 */
int64_t cluster_json_text(const char* json, size_t size, char* text, size_t capacity);

#ifdef __GNUC__
#pragma GCC visibility pop
#endif
#ifdef __cplusplus
}
#endif

#endif
