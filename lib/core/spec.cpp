#include "core/spec.hpp"

#include <algorithm>

namespace cluster::core {
namespace {

bool is_same_inherited(const SocketSpec& left, const SocketSpec& right) {
    return left.name == right.name && is_same_socket(left, right);
}

bool has_same_sockets(const WorkerSpec& from, const WorkerSpec& to) {
    if (from.stdin_socket.has_value() != to.stdin_socket.has_value()) return false;
    if (from.stdin_socket && !is_same_inherited(*from.stdin_socket, *to.stdin_socket)) return false;
    return std::equal(from.sockets.begin(), from.sockets.end(), to.sockets.begin(),
                      to.sockets.end(), is_same_inherited);
}

/// LISTEN_FDS begins there; socket activation knows no other place. Source: sd_listen_fds(3).
constexpr int kFirstSocket = 3;

std::string with_numbers(const WorkerSpec& spec, const std::string& text) {
    std::string result;
    std::size_t done = 0;
    while (const auto reference = find_socket_reference(text, done)) {
        const auto number = socket_number(spec, reference->name);
        const std::string_view kept = std::string_view(text).substr(done, reference->at - done);
        const std::string_view whole =
            std::string_view(text).substr(reference->at, reference->length);
        result += kept;
        if (number && reference->is_closed) {
            result += std::to_string(*number);
        } else {
            result += whole;
        }
        done = reference->at + reference->length;
    }
    return result + text.substr(done);
}

}  // namespace

bool needs_new_run(const WorkerSpec& from, const WorkerSpec& to) {
    const Policy& old_policy = from.policy;
    const Policy& new_policy = to.policy;
    // A run that was started without a notify socket can never say that it is ready. How long its
    // watchdog waits it was told at its start.
    return from.launch != to.launch || old_policy.ready.kind != new_policy.ready.kind ||
           old_policy.ready.notification_fd != new_policy.ready.notification_fd ||
           old_policy.watchdog != new_policy.watchdog || !has_same_sockets(from, to);
}

std::vector<std::string> predecessors_of(const WorkerSpec& spec) {
    std::vector<std::string> names = spec.requirements;
    names.insert(names.end(), spec.wants.begin(), spec.wants.end());
    names.insert(names.end(), spec.after.begin(), spec.after.end());
    return names;
}

std::vector<const SocketSpec*> sockets_of(const WorkerSpec& spec) {
    std::vector<const SocketSpec*> result;
    for (const SocketSpec& socket : spec.sockets) result.push_back(&socket);
    if (!spec.stdin_socket) return result;
    const bool is_there = std::any_of(
        spec.sockets.begin(), spec.sockets.end(),
        [&](const SocketSpec& socket) { return socket.name == spec.stdin_socket->name; });
    if (!is_there) result.push_back(&*spec.stdin_socket);
    return result;
}

std::optional<int> socket_number(const WorkerSpec& spec, std::string_view name) {
    for (std::size_t i = 0; i < spec.sockets.size(); ++i) {
        if (spec.sockets[i].name == name) return kFirstSocket + static_cast<int>(i);
    }
    if (spec.stdin_socket && spec.stdin_socket->name == name) return 0;
    return std::nullopt;
}

Launch launch_with_sockets(const WorkerSpec& spec) {
    Launch launch = spec.launch;
    if (spec.sockets.empty() && !spec.stdin_socket) return launch;
    for (std::string& argument : launch.command) argument = with_numbers(spec, argument);
    for (auto& [name, value] : launch.env) value = with_numbers(spec, value);
    return launch;
}

}  // namespace cluster::core
