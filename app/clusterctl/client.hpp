// The other end of the control socket, as verbs see it: ask, get an answer or a Failure that says
// what to do next.
//
// The keeper holds the listening socket, so a connection made while no supervisor runs queues until
// the next one takes it. A connection that is lost on the way is made again for some seconds, and
// the question asked again where asking twice does no harm (CONTROL.md, "Recovering from a lost
// connection").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "clusterctl/failure.hpp"
#include "ctl/protocol.hpp"
#include "place/directories.hpp"
#include "sys/fd.hpp"

namespace cluster::clusterctl {

/// Thrown when a signal came while we waited (Client::set_interrupt).
struct Interrupted {};

class Client {
public:
    explicit Client(const place::Directories& directories) : directories_(directories) {}

    /// False when no daemon listens there. Throws Failure when something else is wrong.
    [[nodiscard]] bool try_connect();
    /// As try_connect, but no daemon is a Failure with exit code 3.
    void connect();

    [[nodiscard]] ctl::VersionAnswer version();
    /// `fields`: of the rows, by their JSON names; empty: all. All others stay empty.
    [[nodiscard]] ctl::StatusAnswer status(std::vector<std::string> selectors,
                                           std::vector<std::string> fields = {});
    [[nodiscard]] ctl::DescribeAnswer describe_workers(std::vector<std::string> selectors);
    [[nodiscard]] ctl::StoresAnswer list_stores();
    /// A store and its segment, which is made if there is none. Throws when it does not come along.
    struct OpenedStore {
        ctl::StoreStatus status;
        sys::UniqueFd segment;
    };
    [[nodiscard]] OpenedStore open_store(const std::string& name);
    /// How many archives were made.
    [[nodiscard]] std::uint32_t rotate_logs(std::vector<std::string> selectors);
    /// These are never repeated when the connection is lost: the message may have arrived.
    [[nodiscard]] ctl::SendAnswer send_message(ctl::request::Send send);
    [[nodiscard]] ctl::SendAnswer publish_message(ctl::request::Publish publish);
    [[nodiscard]] ctl::FollowAnswer follow_messages(ctl::request::Follow follow);
    /// Any method that answers with an operation, except operation.wait.
    [[nodiscard]] ctl::OperationAnswer change(ctl::Method method);
    [[nodiscard]] ctl::OperationAnswer wait(std::uint64_t operation, std::uint32_t timeout_ms);

    /// Has the daemon go on as another clusterd, and comes back when that one answers. Throws what
    /// was refused; nothing has changed then.
    void upgrade(const std::string& program);

    /// The process that listens on the control socket, in our pid namespace; 0 where it cannot be
    /// told.
    [[nodiscard]] std::int32_t listener_pid() const;

    /// A descriptor (class Interrupt) whose readability ends every wait; -1: none.
    void set_interrupt(int descriptor) { interrupt_ = descriptor; }
    /// While the daemon is going away, a lost connection is no reason to try again.
    void set_reconnecting(bool is_reconnecting) { is_reconnecting_ = is_reconnecting; }

private:
    void require_own_daemon() const;
    /// The answer's line. Throws.
    [[nodiscard]] std::string ask(const ctl::Method& method, Duration patience);
    /// None: the connection was lost before the whole answer had come.
    [[nodiscard]] std::optional<std::string> exchange(std::string_view request, Instant deadline);
    [[nodiscard]] bool send_all(std::string_view request, Instant deadline);
    [[nodiscard]] bool reconnect(Instant deadline);

    place::Directories directories_;
    sys::UniqueFd socket_;
    sys::UniqueFd beside_;  // what came with the last answer
    std::uint64_t last_id_ = 0;
    int interrupt_ = -1;
    bool is_reconnecting_ = true;
};

/// The Failure for what the daemon refused.
[[nodiscard]] Failure failure_of(const ctl::RpcError& error);

}  // namespace cluster::clusterctl
