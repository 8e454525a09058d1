#include "supervisor/inheritance.hpp"

#include <utility>

namespace cluster::supervisor {

void Inheritance::add_socket(std::string name, int fd) {
    sockets_.push_back({std::move(name), fd});
}

void Inheritance::add_stored(std::string name, int fd) {
    stored_.push_back({std::move(name), fd});
}

void Inheritance::set_notification(int number, sys::UniqueFd fd) {
    notification_ = Notification{number, std::move(fd)};
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

void Inheritance::put_in_front(std::string name, std::string words) {
    fronts_.emplace_back(std::move(name), std::move(words));
}

void Inheritance::add_fronts(Variables& variables) const {
    for (auto front = fronts_.rbegin(); front != fronts_.rend(); ++front) {
        std::string& value = variables[front->first];
        value = value.empty() ? front->second : front->second + " " + value;
    }
}

void Inheritance::set_pid_variable(std::string name) {
    pid_variables_.push_back(std::move(name));
}

std::vector<Inheritance::Placed> Inheritance::descriptors() const {
    std::vector<Placed> placed;
    int next = kFirst;
    for (const Socket& socket : sockets_) placed.push_back({next++, socket.fd});
    for (const Socket& socket : stored_) placed.push_back({next++, socket.fd});
    if (channel_) placed.push_back({channel_number(), channel_->fd.get()});
    if (store_) placed.push_back({store_number(), store_->fd});
    if (notification_) placed.push_back({notification_->number, notification_->fd.get()});
    return placed;
}

int Inheritance::next_free(int number) const {
    return notification_ && notification_->number == number ? number + 1 : number;
}

int Inheritance::channel_number() const {
    return next_free(kFirst + static_cast<int>(sockets_.size() + stored_.size()));
}

int Inheritance::store_number() const {
    return next_free(channel_number() + (channel_ ? 1 : 0));
}

std::optional<int> Inheritance::socket_number(std::string_view name) const {
    for (std::size_t i = 0; i < sockets_.size(); ++i) {
        if (sockets_[i].name == name) return kFirst + static_cast<int>(i);
    }
    return std::nullopt;
}

void Inheritance::add_socket_variables(Variables& variables) const {
    if (!has_sockets()) return;
    std::string names;
    for (const Socket& socket : sockets_) names += (names.empty() ? "" : ":") + socket.name;
    for (const Socket& socket : stored_) names += (names.empty() ? "" : ":") + socket.name;
    variables["LISTEN_FDS"] = std::to_string(sockets_.size() + stored_.size());
    variables["LISTEN_FDNAMES"] = std::move(names);
}

Variables Inheritance::variables() const {
    Variables result = others_;
    add_socket_variables(result);
    if (channel_) {
        const std::string number = std::to_string(channel_number());
        result["CLUSTER_CHANNEL_FD"] = number;
        if (channel_->speaks_node) {
            result["NODE_CHANNEL_FD"] = number;
            result["NODE_CHANNEL_SERIALIZATION_MODE"] = "json";
        }
    }
    if (store_) {
        result["CLUSTER_STORE"] = "v1:" + std::to_string(store_number()) + ":" +
                                  std::to_string(store_->inode) + ":" +
                                  std::to_string(store_->generation);
    }
    return result;
}

}  // namespace cluster::supervisor
