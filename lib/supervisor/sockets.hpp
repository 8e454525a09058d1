// The listening sockets of the config: opened once, held by the keeper, the same for every run that
// inherits them.
//
// A socket lives as long as a worker of the fleet names it, and after that as long as a run does
// that got it. Nothing about it stands in the state memfd: custody has the descriptor and a text
// that says which one it is (STATE.md), and the specs of the workers say what is wanted. So a
// successor finds the same sockets, and whatever its predecessor was about to open or to close is
// opened and closed by it (follow).
//
// A host name is looked up by a process of its own (getent); a run whose socket waits for that
// waits, too, and nobody else does.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "core/fleet.hpp"
#include "supervisor/inheritance.hpp"
#include "supervisor/jobs.hpp"
#include "supervisor/keeper_link.hpp"
#include "sys/fd.hpp"
#include "sys/listener.hpp"

namespace cluster::supervisor {

class Sockets {
public:
    /// A resolver that says nothing for so long is given up.
    static constexpr Duration kLookupTimeout = std::chrono::seconds{60};

    /// `path`: where getent is looked up.
    Sockets(KeeperLink& keeper, Jobs& jobs, std::string path)
        : keeper_(keeper), jobs_(jobs), path_(std::move(path)) {}

    /// Takes what a predecessor held. Call it before anything else.
    void resume(std::vector<HeldDescriptor>& held);

    /// Opens every socket of `added` that is not open yet. Nothing: all are open or being looked
    /// up. Else why one is not, in words, and none was opened. `after`: every worker that there
    /// will be, `added` among them.
    [[nodiscard]] std::optional<std::string> open(const std::vector<const core::WorkerSpec*>& added,
                                                  const std::vector<const core::WorkerSpec*>& after,
                                                  Instant now);

    /// The descriptors of a run that is about to be spawned. False: one of its sockets is being
    /// looked up; ask again when take_news() says so. `standard_input`: set where the worker has a
    /// stdin_socket; borrowed. `has_waited`: it is asked
    /// again, and a lookup that failed is not begun anew. Errors: {listening_socket, errno}.
    [[nodiscard]] Result<bool> prepare(Run run, const core::WorkerSpec& spec,
                                       Inheritance& inheritance, std::optional<int>& standard_input,
                                       bool has_waited, Instant now);

    /// Opens, changes and closes what the fleet as it is asks for.
    void follow(const core::Fleet& fleet, Instant now);
    /// True when a socket waits for runs that still have it: follow() has to look again.
    [[nodiscard]] bool has_leftovers() const { return has_leftovers_; }
    /// A lookup has ended since the last call.
    [[nodiscard]] bool take_news() { return std::exchange(has_news_, false); }

    void on_time(Instant now);
    [[nodiscard]] std::optional<Instant> next_deadline() const;
    /// Removes the files of UNIX sockets: nobody listens to them any more.
    void remove_files();

    /// What is known of a worker's socket, for people.
    struct Seen {
        std::string address;                   // where it is bound; empty: it is not open
        std::string problem;                   // why not, or "host is being looked up"
        std::optional<std::uint32_t> waiting;  // connections not accepted yet
    };
    [[nodiscard]] Seen seen(const core::SocketSpec& spec) const;

    /// Why a socket of the worker is not open; nothing: all are.
    [[nodiscard]] std::optional<std::string> problem(const core::WorkerSpec& spec) const;

private:
    struct Lookup {
        Run run;
        sys::UniqueFd output;  // a memfd that getent writes to
        Instant until;
    };
    struct Entry {
        std::uint64_t id = 0;
        core::SocketSpec spec;
        sys::UniqueFd fd;
        std::uint64_t inode = 0;  // of the file of a UNIX socket
        bool is_wanted = true;
        bool is_from_before = false;  // of a predecessor, who knows which runs have it
        std::optional<Lookup> lookup;
        std::optional<Error> failure;
        std::string problem;
    };
    using Users = std::vector<std::uint64_t>;  // ids

    [[nodiscard]] Entry* find(const core::SocketSpec& spec);
    [[nodiscard]] const Entry* find(const core::SocketSpec& spec) const;
    Entry& add(const core::SocketSpec& spec);
    void adopt(Entry& entry, const std::vector<const core::WorkerSpec*>& after);
    void remove(std::uint64_t id);
    void try_open(Entry& entry, Instant now);
    void open_at(Entry& entry, const std::string& host, Instant now);
    [[nodiscard]] Status bind(Entry& entry, const sys::ListenAddress& address);
    [[nodiscard]] Status change(Entry& entry, const core::SocketSpec& spec);
    [[nodiscard]] Status restore(Entry& entry, const core::SocketSpec& spec, Instant now);
    void hold(const Entry& entry);
    void hold_text(const Entry& entry);
    void fail_entry(Entry& entry, const Error& error, std::string problem);
    [[nodiscard]] std::string reason(const Entry& entry, const sys::ListenAddress& address,
                                     const Error& error) const;
    [[nodiscard]] std::string holder_text(const Entry& entry,
                                          const sys::ListenAddress& address) const;
    void begin_lookup(Entry& entry, Instant now);
    void end_lookup(std::uint64_t id, const std::string& failure);
    [[nodiscard]] bool is_alive(Run run) const;
    [[nodiscard]] bool has_run(const Entry& entry) const;

    KeeperLink& keeper_;
    Jobs& jobs_;
    std::string path_;
    std::list<Entry> entries_;
    std::uint64_t last_id_ = 0;
    std::unordered_map<Slot, std::pair<Generation, Users>> users_;
    std::vector<Run> runs_from_before_;
    bool has_leftovers_ = false;
    bool has_news_ = false;
};

/// Why these workers cannot be together: two of them say different things about a socket of one
/// name. Nothing: they can.
[[nodiscard]] std::optional<std::string> socket_mistake(
    const std::vector<const core::WorkerSpec*>& workers);

/// Why a port cannot be listened at: it is privileged.
[[nodiscard]] std::string privilege_text(std::uint16_t port);

}  // namespace cluster::supervisor
