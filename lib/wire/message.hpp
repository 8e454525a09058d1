// Messages between keeper and supervisor: fixed 128-byte datagrams over one SOCK_SEQPACKET
// socketpair.
//
// One datagram is one message. Descriptors travel beside it (SCM_RIGHTS, at most
// kMaxFdsPerMessage). A datagram of any other size, magic, version or kind, or one that was
// truncated, closes the link: decode() says so and never repairs. The table (table.hpp) is the
// truth; messages towards the supervisor are doorbells and may be lost with the link. Byte tables:
// PROTOCOL.md. Native byte order: both ends run on one machine, from one build or two adjacent
// versions.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "base/ids.hpp"
#include "base/result.hpp"

namespace cluster::wire {

inline constexpr std::uint32_t kMessageMagic = 0x4B4C4331;  // "1CLK" in memory
inline constexpr std::uint16_t kProtocolVersion = 1;
/// Handing over 64 at a time stays far below the 253 of SCM_MAX_FD and below an unprivileged user's
/// in-flight limit.
inline constexpr std::size_t kMaxFdsPerMessage = 64;
/// `Message::slot` where a message concerns no slot, and HeldRecord::slot of a descriptor that
/// belongs to no run.
inline constexpr std::uint32_t kNoSlot = 0xFFFFFFFF;

enum class Kind : std::uint16_t {
    // both ways, first message of each side
    hello = 1,
    // supervisor → keeper
    spawn = 16,    // fds[0]: sealed plan; fds[1…]: the descriptors that the plan's dup operations
                   // name, from 0
    signal = 17,   // to the process groups of one to six runs
    release = 18,  // the exits of one to seven runs were taken note of: their slots may spawn again
    hold = 19,  // keep a duplicate of the attached descriptors under the given key (index counts up
                // from `index`)
    drop = 20,  // close what is held under one to six keys
    fetch = 21,   // send what is held, from custody record `first` on
    finish = 22,  // exit with `code`; refused while a slot is occupied
    upgrade = 23,  // execute another clusterd in the keeper's place; fds[0]: sealed memfd with its
                   // path. Answered by refused, or by the successor's succeeded
    // keeper → supervisor
    spawned = 32,    // answer to spawn; on success fds[0] is the pidfd (none when the run has ended
                     // meanwhile)
    changed = 33,    // doorbell: look at these slots of the table again (kNoSlot: at all of them)
    held = 34,       // the one answer to each fetch: descriptors of custody records [first, first +
                     // count) that are in
                     // use, in order; ask again from first + count until count is 0
    terminate = 35,  // clusterd got SIGTERM or SIGINT: stop everything, then finish
    reload = 36,     // clusterd got SIGHUP
    rotate = 37,     // clusterd got SIGUSR2
    refused = 38,    // the message with this sequence was refused: {op, code}
    succeeded = 39,  // a new keeper has taken over; the last message before the link closes, on which
                     // the supervisor is to end: the new keeper starts its own
};

/// What a held descriptor is. Custody is keyed by (kind, slot, generation, index).
enum class HeldKind : std::uint16_t {
    none = 0,
    output = 1,        // read end of stdout of a run: slot, generation
    error_output = 2,  // read end of stderr of a run: slot, generation
    control = 3,       // the control socket, listening
    lock = 4,          // the lock file of the runtime directory
    state = 5,         // the state memfd
    spec = 6,          // sealed memfd with one worker's spec; index: the worker
    log_path =
        7,  // sealed memfd: where an output goes whose instance is gone; index: 0 stdout, 1 stderr
    notify = 8,    // notify socket of a run: slot, generation
    staging = 9,   // staging file of an output (lib/capture/STAGING.md); index: 0 stdout, 1 stderr
    channel = 10,  // our end of the message channel of a run: slot, generation
    channel_memory = 11,  // what is remembered of it (lib/channel/CHANNEL.md)
    socket = 12,          // a listening socket of the config; generation: its id
    socket_spec = 13,     // sealed memfd that says which one; generation: its id
    store = 14,   // segment of a store (lib/store); index: the store, generation: the segment's
    attach = 15,  // attach socket of a run, listening: slot, generation; index: its store
    cluster_socket = 16,       // what a Node.js cluster listens at; generation: its id
    cluster_socket_text = 17,  // sealed memfd that says which one; generation: its id
    stored = 18,  // a descriptor that a worker has stored; generation: its id
    stored_label = 19,  // sealed memfd that says whose it is; generation: its id
    process = 20,  // pidfd of a run: slot, generation. Not held: only in an estate (estate.hpp)
    relay = 21,    // pipe between an output and its log (lib/capture/relay.hpp); index as staging
};

struct HeldKey {
    HeldKind kind = HeldKind::none;
    std::uint16_t index = 0;
    std::uint32_t slot = kNoSlot;
    std::uint64_t generation = 0;

    friend bool operator==(const HeldKey&, const HeldKey&) = default;
};
static_assert(sizeof(HeldKey) == 16 && std::is_trivially_copyable_v<HeldKey>);

/// Payload of hello, both ways. The keeper's hello carries fds[0] = table memfd.
struct Hello {
    std::uint32_t message_bytes;      // sizeof(Message)
    std::uint32_t slot_record_bytes;  // sizeof(SlotRecord)
    std::uint32_t held_record_bytes;  // sizeof(HeldRecord)
    std::uint32_t max_slots;
    std::uint32_t max_held;
    std::uint32_t is_terminating;  // keeper: 1 when SIGTERM came while no supervisor was there
    std::uint64_t boot_id_low;     // first 8 bytes of /proc/sys/kernel/random/boot_id's 16
    std::uint64_t boot_id_high;
    std::uint64_t
        supervisor_starts;  // keeper: how often it has started a supervisor, this one included
    std::uint32_t batches;  // 1: the sender reads what a message names beyond its first run or key
    std::uint32_t reserved;
};

/// One more run that a message concerns.
struct FurtherRun {
    std::uint32_t slot;
    std::uint32_t reserved;
    std::uint64_t generation;  // 0: none, nor any behind it
};

struct Spawn {
    std::uint64_t epoch;
};

struct Signal {
    std::int32_t signal;
    std::uint32_t then_continue;  // 1: SIGCONT after it, so that a stopped process can obey
    std::uint32_t to_leader;  // 1: to the leader alone, and not noted as the last signal of the run
    std::uint32_t reserved;
    FurtherRun further[5];  // the same for these
};

struct Release {
    FurtherRun further[6];  // these as well
};

struct Hold {
    HeldKey key;
};

struct Drop {
    HeldKey keys[6];  // up to the first of kind none
};

struct Changed {
    std::uint32_t further[24];  // slots that are to be looked at as well, each plus one; 0: none
};

struct Fetch {
    std::uint32_t first;  // index of a custody record
    std::uint32_t
        count;  // held: how many records from `first` this answer covers; 0 in held ends the list
};

struct Finish {
    std::int32_t code;
    std::uint32_t reserved;
};

struct Spawned {
    std::int32_t pid;   // 0 on failure
    std::int32_t op;    // cluster::Op of the failed step; 0 on success
    std::int32_t code;  // errno of the failed step
    std::uint32_t
        op_index;  // which operation of the plan; the operation count for a failure outside of them
};

struct Refused {
    std::uint64_t sequence;
    std::int32_t op;
    std::int32_t code;
};

union Payload {
    Hello hello;
    Spawn spawn;
    Signal signal;
    Release release;
    Hold hold;
    Drop drop;
    Changed changed;
    Fetch fetch;
    Finish finish;
    Spawned spawned;
    Refused refused;
    std::uint8_t bytes[96];
};

struct Message {
    std::uint32_t magic = kMessageMagic;
    std::uint16_t version = kProtocolVersion;
    Kind kind = Kind::hello;
    std::uint64_t sequence = 0;
    std::uint32_t slot = kNoSlot;
    std::uint32_t fd_count = 0;  // descriptors attached; fewer or more received closes the link
    std::uint64_t generation = 0;
    Payload payload{.bytes = {}};
};
static_assert(sizeof(Message) == 128 && std::is_trivially_copyable_v<Message>);
static_assert(offsetof(Message, payload) == 32);

[[nodiscard]] Message make_message(Kind kind);
[[nodiscard]] Message make_message(Kind kind, Run run);

/// Checks size, magic, version, kind and descriptor count of one datagram.
/// Errors: {message, EPROTO} for anything that is not a message of this version.
[[nodiscard]] Result<Message> decode(const void* bytes, std::size_t size, std::size_t fds_received);

}  // namespace cluster::wire
