// One probe over a connection: it stands (tcp, unix), or a GET over it is answered well (http).
//
// Nothing waits: each step is taken when the descriptor is ready for it. How long all of it may
// take is for whoever began it.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "core/spec.hpp"
#include "ev/loop.hpp"
#include "sys/fd.hpp"

namespace cluster::supervisor {

class ProbeConnection {
public:
    /// `failure`: what is wrong, in words; empty when nothing is. Called once, maybe at once.
    using Done = std::function<void(const std::string& failure)>;

    /// Requires: the spec's kind is tcp, unix_socket or http. `spec` is borrowed.
    ProbeConnection(ev::Loop& loop, const core::Probe& spec, Done done)
        : loop_(loop), spec_(spec), done_(std::move(done)) {}
    ~ProbeConnection() { close(); }
    ProbeConnection(const ProbeConnection&) = delete;
    ProbeConnection& operator=(const ProbeConnection&) = delete;

    void begin();

private:
    void connect();
    void try_other_address(const std::string& failure);
    void on_connected();
    void on_answer();
    void finish(const std::string& failure);
    void close();

    ev::Loop& loop_;
    const core::Probe& spec_;
    Done done_;
    sys::UniqueFd socket_;
    ev::Watch watch_;
    std::string answer_;
    bool tries_second_address_ = false;
};

/// Where it asks: "127.0.0.1:80", "/run/app.sock", "http://[::1]:80/health".
[[nodiscard]] std::string target_of(const core::Probe& probe);

}  // namespace cluster::supervisor
