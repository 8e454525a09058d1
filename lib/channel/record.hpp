// What one channel remembers outside the heap: its place in shared memory that outlives the
// process, so that whoever serves it next goes on where this one was killed.
//
// The record stands at the beginning of a memfd, the two rings of bytes behind it (CHANNEL.md has
// the tables). Cursors count bytes since the channel began and never wrap; the place of a byte is
// its number modulo the size of the ring. Every cursor is one aligned word, stored in program
// order, and the kernel writes the results of its calls into the record itself (sys::
// receive_recorded and send_recorded), so there is no instruction between what happened and its
// being known.
//
// The bytes come from our own predecessor, but perhaps a broken one: attach() checks every field.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/ids.hpp"

namespace cluster::channel {

inline constexpr std::uint64_t kRecordMagic = 0x314E414843534C43;  // "CLSCHAN1" in memory
inline constexpr std::uint32_t kRecordVersion = 1;
inline constexpr std::size_t kMaxSubscriptions = 64;
/// Topics and patterns. Unit: bytes.
inline constexpr std::size_t kMaxTopic = 126;
/// Requests of one worker that wait for their replies.
inline constexpr std::size_t kMaxPending = 256;
/// Ids of requests, as they stand in the line. Unit: bytes.
inline constexpr std::size_t kMaxId = 64;

/// Lines with descriptors that wait at a time.
inline constexpr std::size_t kMaxCarried = 64;
inline constexpr std::size_t kMaxClusterPlaces = 64;

/// Of a status text. Unit: bytes.
inline constexpr std::size_t kMaxStatusText = 512;

/// The call that moves bytes from or to the socket: what the kernel reads, and where it writes how
/// many bytes it was.
struct CallRecord {
    std::uint64_t base;     // cursor at which it began
    std::uint8_t head[56];  // msghdr, of no use to anybody but the process that made the call
    std::uint32_t bytes;    // written by the kernel
    std::uint32_t reserved;
};
static_assert(sizeof(CallRecord) == 72 && offsetof(CallRecord, bytes) == 64);

/// Monotonic counts, shown by `describe`.
struct Counts {
    std::uint64_t received;       // lines
    std::uint64_t sent;           // lines that were queued towards the worker
    std::uint64_t malformed;      // no JSON, not a valid command
    std::uint64_t too_long;       // lines beyond the limit
    std::uint64_t unfinished;     // lines that an end cut off
    std::uint64_t dropped;        // lines that the worker did not read in time
    std::uint64_t undeliverable;  // that were longer than its queue
    std::uint64_t unanswered;     // replies to nothing
    std::uint64_t descriptors;    // that came with messages, and were closed
    std::uint64_t unmatched;      // rules that named a missing field
    std::uint64_t reserved[2];
};
static_assert(sizeof(Counts) == 96);

struct Subscription {
    std::uint8_t is_used;  // written last
    std::uint8_t size;
    char pattern[kMaxTopic];

    [[nodiscard]] std::string_view view() const { return {pattern, size}; }
};
static_assert(sizeof(Subscription) == 128);

/// A request of this worker that another one has not answered yet.
struct Pending {
    std::uint32_t is_used;   // written last
    std::uint32_t sequence;  // the id that the other one sees is made of it
    std::int64_t deadline_ns;
    std::uint64_t target_generation;
    std::uint32_t target_slot;
    std::uint8_t id_size;
    std::uint8_t reserved[3];
    char id[kMaxId];  // as the worker wrote it

    [[nodiscard]] std::string_view view() const { return {id, id_size}; }
};
static_assert(sizeof(Pending) == 96);

/// A queued line with which a descriptor is sent.
struct Carried {
    std::uint64_t begin;       // of the line, as a cursor; not in the queue: the place is free
    std::uint64_t descriptor;  // the number that its owner knows it by, from 1 on
};
static_assert(sizeof(Carried) == 16);

/// An address of a Node.js cluster that the worker listens at (lib/nodecluster).
struct ClusterPlace {
    std::uint32_t is_used;  // 1: it has the socket; 2: connections are handed to it. Written last
    std::uint32_t reserved;
    std::uint64_t handle;
    std::uint64_t sequence;  // of the question for it
};
static_assert(sizeof(ClusterPlace) == 24);

/// In which the store writes down a change that it is about to make (store/attempt.hpp). Begins
/// with 0: nothing.
using StoreAttempt = std::array<std::uint64_t, 5>;

/// The numbers that lines in a row add to one key, as one change of the store.
struct Sum {
    std::uint64_t end;  // of the last of them; not above in_done: there is none
    StoreAttempt attempt;
};
static_assert(sizeof(Sum) == 48);

/// Why we have closed a channel, as it stands in its record.
enum class CutOff : std::uint32_t {
    none,             // we have not
    unread_messages,  // its worker did not read them, and slow_reader is "disconnect"
    unread_answers,   // nor what it had asked for
    no_memory,        // there was none for a record, so this one stands in none
};

struct Record {
    std::uint64_t magic;
    std::uint32_t version;
    std::uint32_t record_bytes;
    std::uint64_t max_line;
    std::uint64_t in_bytes;   // size of the ring of what came in
    std::uint64_t out_bytes;  // size of the ring of what goes out
    // what came in
    std::uint64_t in_done;      // every line before it was applied, or was begun to be
    std::uint64_t in_received;  // bytes before it are in the ring
    std::uint64_t line_begin;   // of the line that was applied last
    std::uint64_t line_end;     // its end; where in_done is another, there is no such line
    std::uint64_t line_queued;  // out_queued when it was begun
    // what goes out
    std::uint64_t out_queued;
    std::uint64_t out_sent;
    std::uint64_t partial_end;    // of the line of which a part was sent; not above out_sent: none
    std::uint64_t notice_end;     // the line that ends there is a notice of dropped ones
    std::uint32_t notice_value;   // the count in it; 0: there is no notice in the queue
    std::uint32_t notice_count;   // of dropped lines that no notice tells of yet
    std::uint64_t skip_until;     // what stands before it is the rest of a line that is too long
    std::uint32_t has_spoken;     // the worker has sent a line
    std::uint32_t next_sequence;  // of requests
    CallRecord receiving;
    CallRecord sending;
    Counts counts;
    // what the worker said of itself
    std::uint32_t said_ready;
    std::uint32_t told_shutdown;  // the daemon has asked it to end
    std::int64_t heartbeat_ns;    // when it came last; 0: never
    std::uint32_t status_size;    // written last
    char status[kMaxStatusText];
    std::uint32_t cluster_notes;  // what a worker of a Node.js cluster said (nodecluster::note)
    Carried carried[kMaxCarried];
    ClusterPlace cluster_places[kMaxClusterPlaces];
    std::uint32_t cut_off;  // CutOff; written before the channel is closed
    std::uint32_t reserved_word;
    Sum sum;
    std::uint8_t reserved[4096 - 968 - 16 * kMaxCarried - 24 * kMaxClusterPlaces];
    Subscription subscriptions[kMaxSubscriptions];
    Pending pending[kMaxPending];
};
static_assert(std::is_trivially_copyable_v<Record> && std::is_standard_layout_v<Record>);
static_assert(offsetof(Record, receiving) == 136 && offsetof(Record, counts) == 280);
static_assert(offsetof(Record, carried) == 912 && offsetof(Record, cluster_places) == 1936);
static_assert(offsetof(Record, cut_off) == 3472 && offsetof(Record, sum) == 3480);
static_assert(offsetof(Record, subscriptions) == 4096);
static_assert(sizeof(Record) == 4096 + 128 * kMaxSubscriptions + 96 * kMaxPending);

/// What a run has said of itself and what happened on its channel: it stays true on another one.
struct Told {
    Counts counts{};
    std::uint32_t said_ready = 0;
    std::int64_t heartbeat_ns = 0;
    std::uint32_t status_size = 0;
    std::array<char, kMaxStatusText> status{};
};
[[nodiscard]] Told told_by(const Record& record);
/// Requires: the record is new.
void tell(Record& record, const Told& told);

struct Sizes {
    std::uint64_t max_line = 0;
    std::uint64_t max_queue = 0;
};

/// A record and its rings in one piece of memory. Copies are views of the same memory.
class Memory {
public:
    /// How many bytes a channel takes.
    [[nodiscard]] static std::uint64_t size_for(const Sizes& sizes);
    /// Makes an empty one. Requires: `bytes` is zero, of size_for(sizes), aligned to a page.
    [[nodiscard]] static Memory make(std::span<std::byte> bytes, const Sizes& sizes);
    /// The predecessor's, cleared of what a kill has left half done. Nothing: it is none, or of
    /// another version, or its cursors make no sense.
    [[nodiscard]] static std::optional<Memory> attach(std::span<std::byte> bytes);

    [[nodiscard]] Record& record() const { return *record_; }
    [[nodiscard]] std::span<std::byte> in() const { return in_; }
    [[nodiscard]] std::span<std::byte> out() const { return out_; }

private:
    explicit Memory(std::span<std::byte> bytes);

    Record* record_;
    std::span<std::byte> in_;
    std::span<std::byte> out_;
};

/// One or two pieces of a ring.
struct Pieces {
    std::span<std::byte> first;
    std::span<std::byte> second;

    [[nodiscard]] std::size_t size() const { return first.size() + second.size(); }
};
/// The bytes [begin, end). Requires: not more than the ring holds.
[[nodiscard]] Pieces pieces(std::span<std::byte> ring, std::uint64_t begin, std::uint64_t end);

/// Stores a word where a kill may come before or after, never within, and keeps the order of the
/// program.
template <class Word>
void publish(Word& place, std::type_identity_t<Word> value) {
    static_assert(sizeof(Word) == 4 || sizeof(Word) == 8);
    __atomic_store_n(&place, value, __ATOMIC_RELEASE);
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

}  // namespace cluster::channel
