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

}  // namespace

bool needs_new_run(const WorkerSpec& from, const WorkerSpec& to) {
    // A run that was started without a notify socket can never say that it is ready.
    return from.launch != to.launch || from.policy.ready.kind != to.policy.ready.kind ||
           !has_same_sockets(from, to);
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

}  // namespace cluster::core
