// The supervisor's end of the link to the keeper.
//
// What was sent is in the kernel's hands when the call returns, and the keeper reads it even if we
// are killed then: that is what makes write-ahead order simple. Signals, releases and drops that
// follow one another are gathered into one message until something else is sent or flush() is
// called; a kill before that is a kill before they were asked for. While the socket is full, a
// sender goes on receiving into the inbox, so the two processes can never wait for each other.
// What goes through here into the keeper's hands is kept a second time, for its successor
// (copies.hpp).
// Owns: the socket, the keeper's table and a mapping of it, the copies.
#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/ids.hpp"
#include "base/result.hpp"
#include "base/time.hpp"
#include "supervisor/copies.hpp"
#include "sys/fd.hpp"
#include "sys/memory.hpp"
#include "wire/message.hpp"
#include "wire/table.hpp"

namespace cluster::supervisor {

/// So long a new keeper may take until a supervisor of its own has everything in hand. Then it is
/// killed, and another one tried.
inline constexpr Duration kSuccessionPatience = std::chrono::seconds(10);

struct KeeperMessage {
    wire::Message message;
    std::vector<sys::UniqueFd> fds;
};

struct HeldDescriptor {
    wire::HeldKey key;
    sys::UniqueFd fd;
};

class KeeperLink {
public:
    /// Exchanges hellos and maps the table. Waits for the keeper's answer.
    /// Errors: {message, EPROTO} for a keeper of another version; {receive, …}.
    [[nodiscard]] static Result<KeeperLink> open(sys::UniqueFd socket);

    [[nodiscard]] int descriptor() const { return socket_.get(); }
    [[nodiscard]] const wire::Table& table() const { return *mapping_.as<const wire::Table>(); }
    [[nodiscard]] const wire::Hello& hello() const { return hello_; }

    /// Everything in the keeper's custody, as duplicates. Waits for the answers; other messages go
    /// to the inbox.
    [[nodiscard]] Result<std::vector<HeldDescriptor>> fetch_held();

    void spawn(Run run, Epoch epoch, int plan, std::span<const int> fds);
    void signal(Run run, int signal, bool then_continue);
    /// To the leader alone, for somebody who asked for just that.
    void signal_leader(Run run, int signal);
    void release(Run run);
    void hold(const wire::HeldKey& key, int fd);
    void drop(const wire::HeldKey& key);
    void finish(int code);
    /// Has the keeper go on as another program, and waits for the outcome: success means that
    /// another supervisor has everything in hand, and we are to end. Errors: {exec|estate, …} the
    /// keeper refused, and goes on as before; {receive, ECONNRESET} it is gone.
    [[nodiscard]] Status upgrade(const std::string& program);
    /// Sends what was gathered. To be called before anybody waits for what follows from it.
    void flush();

    /// Receives what is there into the inbox. False when the keeper is gone or talks nonsense.
    [[nodiscard]] bool receive();
    [[nodiscard]] std::optional<KeeperMessage> take_message();
    /// Messages that came in while something was sent: nobody will be woken for them.
    [[nodiscard]] bool has_messages() const { return !inbox_.empty(); }
    /// The keeper is gone, or what it says makes no sense: nothing can be sent any more.
    [[nodiscard]] bool is_broken() const { return is_broken_; }

    /// The process has ended, or nobody can tell.
    [[nodiscard]] bool is_keeper_dead() const;
    /// What its successor gets.
    [[nodiscard]] const Copies& copies() const { return copies_; }
    [[nodiscard]] int table_file() const { return table_file_.get(); }
    /// The program that it runs: its path, or, when another file lies there by now, a path through
    /// our own descriptor. Empty where nobody can tell.
    [[nodiscard]] std::string keeper_program() const;

    /// The record of a slot as the keeper left it; nothing when it cannot be read whole.
    [[nodiscard]] std::optional<wire::SlotRecord> slot(Slot slot) const;

private:
    KeeperLink(sys::UniqueFd socket, sys::UniqueFd table_file, sys::Mapping mapping,
               const wire::Hello& hello);
    void look_at_keeper();
    void copy_pidfds();
    [[nodiscard]] Result<KeeperMessage> receive_one();
    void send(wire::Message message, std::span<const int> fds);
    void send_now(wire::Message message, std::span<const int> fds);
    void gather(const wire::Message& message);
    [[nodiscard]] bool join(const wire::Message& message);
    void wait_for_room();

    sys::UniqueFd socket_;
    sys::UniqueFd table_file_;
    sys::Mapping mapping_;
    sys::UniqueFd keeper_;   // pidfd
    sys::UniqueFd program_;  // what it runs
    Copies copies_;
    wire::Hello hello_;
    std::uint64_t sequence_ = 0;
    std::optional<wire::Message> gathered_;
    std::size_t gathered_more_ = 0;  // what it names beyond the first
    std::deque<KeeperMessage> inbox_;
    bool is_broken_ = false;
};

}  // namespace cluster::supervisor
