// The primary of Node.js clusters, as a pure state machine: messages of workers, opened sockets and
// accepted connections go in as lines and numbers; lines, and what is to be done with sockets and
// connections, come out as actions. It has no descriptor, no clock and no memory that has to
// survive it.
//
// Runs of one app (a worker of the config) share its handles: a handle is a listening socket under
// the key of its address. It lives as long as a run holds it, and for kLinger after that. Whether a
// run has the socket itself (shared) or is handed connections (round robin) is decided per run, so
// both may be there at a time.
//
// Round robin: the runs of a handle take turns; each has at most kWindow connections that it has
// not answered for yet. Only while one has room does a handle want connections, so none waits here
// unless a run refused it, or died with it, and nobody else has room.
//
// What has to survive the process comes out as actions too (Hold, Note, Keep): whoever carries them
// out gives it back to the next one (add, resume). NODECLUSTER.md says how.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <variant>
#include <vector>

#include "base/ids.hpp"
#include "base/time.hpp"
#include "channel/json.hpp"
#include "nodecluster/message.hpp"

namespace cluster::nodecluster {

/// From 1 on, never used again.
using HandleId = Id<struct HandleTag, std::uint64_t>;
using ConnectionId = Id<struct ConnectionTag, std::uint64_t>;

/// Connections on their way to one run. Why: a window of 1, as Node.js has it, waits for the run
/// each time; beyond 16 there is nothing to gain (NODECLUSTER.md, measured).
inline constexpr std::size_t kWindow = 16;
/// Of these, as many as keep a run occupied for a moment. Why: one takes a process of Node.js at
/// least 100 us.
inline constexpr std::size_t kBusy = 4;
/// A run that refuses a connection gets none for so long. Why: one at its maxConnections refuses
/// them as fast as they come.
inline constexpr Duration kBackOff = std::chrono::milliseconds{20};
/// A socket outlives its last run. Why: a run says that it leaves before it closes its own copy,
/// and clients wait in the backlog while a run that crashed is started again.
inline constexpr Duration kLinger = std::chrono::seconds{5};
/// From the end of the channel to the stop signal.
inline constexpr Duration kAfterChannel = std::chrono::seconds{1};
/// Of the grace of a run, kept for what comes behind the drain.
inline constexpr Duration kAfterDrain = std::chrono::milliseconds{500};
/// Before the end of the grace of a run, the stop signal. Why: a program that closes on it what never
/// ends by itself (websockets) is to hear it, whatever else the run waits for.
inline constexpr Duration kBeforeKill = std::chrono::milliseconds{250};
/// From when a run is to have drained until that is believed to have failed.
inline constexpr Duration kDrainLate = std::chrono::milliseconds{250};
/// Addresses of one run, and sockets of one app.
inline constexpr std::size_t kMaxHeld = 64;
inline constexpr std::size_t kMaxHandles = 128;

/// What is known of a run and outlives this process. A set of bits.
namespace note {
inline constexpr std::uint32_t kOnline = 1;         // it is a worker of a cluster
inline constexpr std::uint32_t kListening = 2;      // it has said so
inline constexpr std::uint32_t kCanDrain = 4;       // our preload is in it
inline constexpr std::uint32_t kDrainAsked = 8;     // it was asked to drain
inline constexpr std::uint32_t kDisconnected = 16;  // it was asked to disconnect, or does by itself
inline constexpr std::uint32_t kDrained = 32;       // it has nothing left
}  // namespace note

/// A run and an address that it listens at.
struct Held {
    HandleId handle;
    in::Sequence sequence = 0;  // of the question for it
    bool is_round_robin = false;

    friend bool operator==(const Held&, const Held&) = default;
};

struct Member {
    Run run;
    std::string app;
    bool is_round_robin = false;
    bool drains = true;
    std::uint32_t notes = 0;
    std::vector<Held> held = {};
};

/// A socket as it was kept (action::Keep).
struct Kept {
    HandleId id;
    std::string app;
    std::string key;
    Address address;
    std::string data = "null";

    friend bool operator==(const Kept&, const Kept&) = default;
};

namespace action {

struct Send {
    Run run;
    std::string line;
};
/// The line goes together with a copy of the socket.
struct SendSocket {
    Run run;
    std::string line;
    HandleId handle;
};
/// The line goes together with the connection, of which a copy stays here until Drop. Where it
/// cannot go at once: on_refused().
struct SendConnection {
    Run run;
    std::string line;
    ConnectionId connection;
    std::uint64_t sequence = 0;
};
/// To be answered by on_opened() or on_failed(). Where a UNIX socket is to be, what nobody listens
/// to any more is in the way.
struct Open {
    Kept handle;
    Run run;  // who asks, and whose rights over files count
};
/// It has changed; the socket is the same.
struct Keep {
    Kept handle;
};
struct Close {
    HandleId handle;
};
/// Whether connections are to be accepted.
struct Accept {
    HandleId handle;
    bool is_wanted = false;
};
/// Our copy of a connection is not needed any more.
struct Drop {
    ConnectionId connection;
};
/// The run holds the address from now on, or no longer.
struct Hold {
    Run run;
    Held held;
    bool is_held = true;
};
struct Note {
    Run run;
    std::uint32_t notes = 0;  // all of them
};
/// The run listens: it is ready, if that is what its readiness is.
struct Listening {
    Run run;
};
/// Its channel has been closed for kAfterChannel, or its grace is nearly over.
struct Signal {
    Run run;
};
/// It was asked to drain, and this did not end in time.
struct Left {
    Run run;
    in::Drained what;
};
/// It has asked for more than it may have.
struct Refuse {
    Run run;
    std::string key;
    int error = 0;  // negative
};

}  // namespace action

using Action = std::variant<action::Send, action::SendSocket, action::SendConnection, action::Open,
                            action::Keep, action::Close, action::Accept, action::Drop,
                            action::Hold, action::Note, action::Listening, action::Signal,
                            action::Left, action::Refuse>;

class Primary {
public:
    /// Numbers of messages begin behind `first_sequence`, those of handles behind the highest that
    /// was resumed. Why: a run tells answers apart by them, and has heard those of a predecessor.
    explicit Primary(std::uint64_t first_sequence) : last_sequence_(first_sequence) {}

    // --- runs
    /// In the place of whatever run had its slot before.
    void add(Member member, Instant now);
    /// Its channel is closed. A run that was told to end gets a signal after a while; what it was
    /// handed and had not answered for goes to others.
    void on_channel_closed(Run run, Instant now);
    /// It is over.
    void remove(Run run, Instant now);
    /// Asks a run to end: to drain, where it can, then to disconnect, and in the end by its stop
    /// signal; `grace`: it will be killed then. False: it is no worker of a cluster, or has no channel; a signal is all there is.
    [[nodiscard]] bool stop(Run run, Duration grace, Instant now);
    /// A run that was told to end has asked for more time; `grace`: from now on, never less than it
    /// had. What it is to do with it is its own: it is not asked again.
    void extend(Run run, Duration grace, Instant now);
    /// It will be asked to end in another way: it is handed no more connections.
    void withdraw(Run run);
    /// A message of Node.js' own; false: it makes no sense.
    [[nodiscard]] bool on_message(Run from, std::string_view line, Instant now);

    // --- sockets
    /// Of a predecessor. Call it before any run is added.
    void resume(Kept handle, Bound bound, Instant now);
    void on_opened(HandleId handle, Bound bound, Instant now);
    /// `error`: negative.
    void on_failed(HandleId handle, int error);
    /// Nobody will ask for the sockets of this app soon: those without runs are closed at once.
    void forget(std::string_view app);

    // --- connections
    void on_connection(HandleId handle, ConnectionId connection);
    /// Every run that takes connections of this socket has kBusy of them before it, so that one more
    /// would only wait there: who accepts has a moment of time.
    [[nodiscard]] bool is_busy(HandleId handle) const;
    /// Those that have not answered for all of theirs.
    [[nodiscard]] std::vector<Run> unanswered(HandleId handle) const;
    /// It could not be sent to that run.
    void on_refused(Run run, std::uint64_t sequence, Instant now);

    // --- time
    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;
    [[nodiscard]] std::vector<Action> take_actions();

    // --- for people
    struct Seen {
        HandleId handle;
        std::string key;
        bool is_round_robin = false;
        std::uint64_t handed_over = 0;  // connections that this run took, since this process began
    };
    struct Facts {
        std::uint32_t notes = 0;
        std::vector<Seen> held;
        std::size_t unanswered = 0;  // connections on their way to it
    };
    [[nodiscard]] std::optional<Facts> facts(Run run) const;
    /// Its channel is open, and it was asked to end.
    [[nodiscard]] bool is_ending(Run run) const;
    [[nodiscard]] std::size_t handle_count() const { return handles_.size(); }

private:
    struct Question {
        Run run;
        in::Sequence sequence = 0;
        std::string data;
    };
    struct Handle {
        Kept kept;
        bool is_open = false;
        Bound bound;
        std::vector<Run> holders;
        std::vector<Run> turns;       // of those by round robin
        std::size_t next_turn = 0;
        std::deque<ConnectionId> waiting;
        std::vector<Question> questions;  // until it is open
        std::optional<Instant> closes_at;
        bool is_accepting = false;
    };
    struct OnTheWay {
        ConnectionId connection;
        HandleId handle;
    };
    struct Entry {
        Member member;
        bool has_channel = true;
        bool is_stopping = false;
        std::map<std::uint64_t, OnTheWay> on_the_way;  // by the number of the message
        std::optional<Instant> backs_off_until;
        std::optional<Instant> drains_until;
        std::optional<Instant> channel_closed_at;
        std::optional<Instant> kill_at;  // from when it was told to end
        Duration before_kill{};
        bool is_signalled = false;
        std::map<HandleId, std::uint64_t> handed_over;
    };

    void handle(Entry& from, const in::Online& message, Instant now);
    void handle(Entry& from, const in::Query& message, Instant now);
    void handle(Entry& from, const in::Listening& message, Instant now);
    void handle(Entry& from, const in::Close& message, Instant now);
    void handle(Entry& from, const in::Leaving& message, Instant now);
    void handle(Entry& from, const in::Answer& message, Instant now);
    void handle(Entry& from, const in::Hello& message, Instant now);
    void handle(Entry& from, const in::Drained& message, Instant now);
    void handle(Entry& from, const in::Other& message, Instant now);

    [[nodiscard]] Entry* find(Run run);
    [[nodiscard]] Handle* find(HandleId handle);
    [[nodiscard]] Handle* find(std::string_view app, std::string_view key);
    void refuse(Entry& to, const in::Query& query, int error);
    void answer(Handle& handle, const Question& question);
    [[nodiscard]] int make_room(std::string_view app);
    void leave(Entry& entry, HandleId handle, Instant now);
    void take_back(Entry& entry);
    void close(HandleId handle);
    static void linger(Handle& handle, Instant now);
    void note(Entry& entry, std::uint32_t bit);
    void disconnect(Entry& entry);
    [[nodiscard]] static std::optional<Instant> signal_at(const Entry& entry);
    void take_out_of_turns(Entry& entry);
    [[nodiscard]] bool has_room(Run run) const;
    [[nodiscard]] std::optional<Run> choose(Handle& handle);
    void hand_out(Handle& handle);
    void hand_out_all(const Entry& entry);
    [[nodiscard]] std::uint64_t next_sequence() { return ++last_sequence_; }

    std::uint64_t last_sequence_;
    std::uint64_t last_handle_ = 0;
    channel::Json json_;
    std::map<HandleId, Handle> handles_;
    std::unordered_map<Slot, Entry> entries_;
    std::vector<Action> actions_;
};

}  // namespace cluster::nodecluster
