// What a worker inherits beside its three standard streams: descriptors from 3 on without a hole,
// and the variables that name them.
//
// The order is fixed: listening sockets first, since socket activation counts from 3; then what the
// worker has stored; then the channel; then the store. A descriptor whose number the config says
// has that number, and the others step aside. Whoever has something to hand over adds it here
// before the plan is compiled, in any order; numbers are asked for when everything was added.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "supervisor/environment.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

class Inheritance {
public:
    static constexpr int kFirst = 3;

    /// A listening socket of the config, which stays the caller's: LISTEN_FDS, LISTEN_FDNAMES and,
    /// written by the child itself, LISTEN_PID.
    void add_socket(std::string name, int fd);
    /// A descriptor that an earlier run has stored, which stays the caller's; counted in LISTEN_FDS.
    void add_stored(std::string name, int fd);
    /// The worker's end of a pipe, as the number that it expects. Requires: no socket and nothing
    /// stored has that number.
    void set_notification(int number, sys::UniqueFd fd);
    /// The worker's end of its channel: CLUSTER_CHANNEL_FD and, if `speaks_node`, what makes it
    /// process.send() of Node.
    void set_channel(sys::UniqueFd fd, bool speaks_node);
    /// The store's memfd, which stays the caller's: CLUSTER_STORE.
    void set_store(int fd, std::uint64_t inode, std::uint64_t generation);
    /// A variable that names no descriptor, as NOTIFY_SOCKET.
    void set_variable(std::string name, std::string value);

    /// Words that come before whatever a variable says already, as in NODE_OPTIONS.
    void put_in_front(std::string name, std::string words);
    /// Adds what was put in front. Requires: `variables` has everything else.
    void add_fronts(Variables& variables) const;

    /// A variable whose value is the pid of the run, as WATCHDOG_PID: only the child knows it.
    void set_pid_variable(std::string name);
    [[nodiscard]] const std::vector<std::string>& pid_variables() const { return pid_variables_; }

    struct Placed {
        int number;  // the worker's
        int fd;      // ours

        friend bool operator==(const Placed&, const Placed&) = default;
    };
    [[nodiscard]] std::vector<Placed> descriptors() const;
    [[nodiscard]] Variables variables() const;
    /// LISTEN_PID has to be among the variables: only the child knows it.
    [[nodiscard]] bool has_sockets() const { return !sockets_.empty() || !stored_.empty(); }
    /// The worker's number of a socket; nothing: it does not get that one.
    [[nodiscard]] std::optional<int> socket_number(std::string_view name) const;

private:
    struct Socket {
        std::string name;
        int fd;
    };
    struct Channel {
        sys::UniqueFd fd;
        bool speaks_node;
    };
    struct Store {
        int fd;
        std::uint64_t inode;
        std::uint64_t generation;
    };
    struct Notification {
        int number;
        sys::UniqueFd fd;
    };
    void add_socket_variables(Variables& variables) const;
    /// The lowest number from `number` on that is not the notification's.
    [[nodiscard]] int next_free(int number) const;
    [[nodiscard]] int channel_number() const;
    [[nodiscard]] int store_number() const;

    std::vector<Socket> sockets_;
    std::vector<Socket> stored_;
    std::optional<Notification> notification_;
    std::optional<Channel> channel_;
    std::optional<Store> store_;
    std::vector<std::string> pid_variables_;
    Variables others_;
    std::vector<std::pair<std::string, std::string>> fronts_;  // in the order of the result
};

}  // namespace cluster::supervisor
