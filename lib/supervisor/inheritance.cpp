#include "supervisor/inheritance.hpp"

#include <utility>

namespace cluster::supervisor {

void Inheritance::add_socket(std::string name, int fd) {
    sockets_.push_back({std::move(name), fd});
}

void Inheritance::set_channel(sys::UniqueFd fd, bool speaks_node) {
    channel_ = Channel{std::move(fd), speaks_node};
}

void Inheritance::set_store(int fd, std::uint64_t inode, std::uint64_t generation) {
    store_ = Store{fd, inode, generation};
}

void Inheritance::set_variable(std::string name, std::string value) {
    others_[std::move(name)] = std::move(value);
}

void Inheritance::set_pid_variable(std::string name) {
    pid_variables_.push_back(std::move(name));
}

std::vector<int> Inheritance::descriptors() const {
    std::vector<int> fds;
    for (const Socket& socket : sockets_) fds.push_back(socket.fd);
    if (channel_) fds.push_back(channel_->fd.get());
    if (store_) fds.push_back(store_->fd);
    return fds;
}

std::optional<int> Inheritance::socket_number(std::string_view name) const {
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
        if (sockets_[i].name == name) return kFirst + static_cast<int>(i);
    }
    return std::nullopt;
}

void Inheritance::add_socket_variables(Variables& variables) const {
    if (sockets_.empty()) return;
    std::string names;
    for (const Socket& socket : sockets_) names += (names.empty() ? "" : ":") + socket.name;
    variables["LISTEN_FDS"] = std::to_string(sockets_.size());
    variables["LISTEN_FDNAMES"] = std::move(names);
}

Variables Inheritance::variables() const {
    Variables result = others_;
    add_socket_variables(result);
    int next = kFirst + static_cast<int>(sockets_.size());
    if (channel_) {
        const std::string number = std::to_string(next++);
        result["CLUSTER_CHANNEL_FD"] = number;
        if (channel_->speaks_node) {
            result["NODE_CHANNEL_FD"] = number;
            result["NODE_CHANNEL_SERIALIZATION_MODE"] = "json";
        }
    }
    if (store_) {
        result["CLUSTER_STORE"] = "v1:" + std::to_string(next++) + ":" +
                                  std::to_string(store_->inode) + ":" +
                                  std::to_string(store_->generation);
    }
    return result;
}

}  // namespace cluster::supervisor
