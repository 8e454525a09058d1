#include "supervisor/probe_connection.hpp"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "ready/http.hpp"
#include "sys/datagram.hpp"
#include "sys/socket.hpp"

namespace cluster::supervisor {
namespace {

using Kind = core::Probe::Kind;

std::string address_of(const core::Probe& probe) {
    const bool is_ipv6 = probe.host.find(':') != std::string::npos;
    return fmt::format("{}:{}", is_ipv6 ? "[" + probe.host + "]" : probe.host, probe.port);
}

}  // namespace

std::string target_of(const core::Probe& probe) {
    if (probe.kind == Kind::unix_socket) return probe.path;
    return probe.kind == Kind::http ? "http://" + address_of(probe) + probe.path
                                    : address_of(probe);
}

void ProbeConnection::begin() {
    tries_second_address_ = false;
    answer_.clear();
    connect();
}

/// localhost may be listened at under either of its addresses: one after the other is tried.
void ProbeConnection::connect() {
    const bool is_local = spec_.host == "localhost";
    const char* const local = tries_second_address_ ? "::1" : "127.0.0.1";
    auto socket = spec_.kind == Kind::unix_socket
                      ? sys::connect_unix(spec_.path, true)
                      : sys::begin_connect(is_local ? local : spec_.host, spec_.port);
    if (!socket) {
        // EAGAIN says connect(2) of a UNIX socket that has as many waiting as it lets wait.
        const char* const why = socket.error().code == EAGAIN
                                    ? "nobody accepts, and its backlog is full"
                                    : std::strerror(socket.error().code);
        return try_other_address(fmt::format("{}: {}", target_of(spec_), why));
    }
    socket_ = std::move(*socket);
    auto watched = loop_.add(socket_.get(), {.readable = false, .writable = true},
                             [this](const ev::Ready&) { on_connected(); });
    if (!watched) return finish(std::strerror(watched.error().code));
    watch_ = *watched;
}

void ProbeConnection::try_other_address(const std::string& failure) {
    close();
    const bool has_other = spec_.kind != Kind::unix_socket && spec_.host == "localhost";
    if (has_other && !std::exchange(tries_second_address_, true)) return connect();
    finish(failure);
}

void ProbeConnection::on_connected() {
    if (!sys::is_connected(socket_.get())) {
        return try_other_address("nobody answers at " + address_of(spec_));
    }
    if (spec_.kind != Kind::http) return finish("");
    // The buffer of a new connection holds far more than a request.
    const std::string request = ready::http_request(spec_);
    const auto sent = sys::send_some(socket_.get(), request);
    if (!sent) return finish(std::strerror(sent.error().code));
    if (*sent < request.size()) return finish("the request could not be sent");
    loop_.remove(std::exchange(watch_, {}));
    auto watched = loop_.add(socket_.get(), {.readable = true, .writable = false},
                             [this](const ev::Ready&) { on_answer(); });
    if (!watched) return finish(std::strerror(watched.error().code));
    watch_ = *watched;
}

void ProbeConnection::on_answer() {
    std::array<std::byte, ready::kMaxHttpAnswer> buffer;
    sys::UniqueFd unasked;
    const auto count = sys::receive_some(socket_.get(), buffer, unasked);
    if (!count && count.error().code == EAGAIN) return;
    if (!count) return finish(std::strerror(count.error().code));
    answer_.append(reinterpret_cast<const char*>(buffer.data()), *count);
    const ready::HttpAnswer answer = ready::read_http_answer(answer_);
    switch (answer.kind) {
        case ready::HttpAnswer::Kind::status:
            return finish(ready::is_good_status(spec_, answer.status)
                              ? ""
                              : fmt::format("{} answers {}", target_of(spec_), answer.status));
        case ready::HttpAnswer::Kind::no_http:
            return finish(target_of(spec_) + " does not answer in HTTP");
        case ready::HttpAnswer::Kind::incomplete:
            if (*count == 0) return finish(target_of(spec_) + " hangs up without an answer");
            if (answer_.size() < ready::kMaxHttpAnswer) return;
            return finish(target_of(spec_) + " sends fields without an end");
    }
}

void ProbeConnection::finish(const std::string& failure) {
    close();
    done_(failure);
}

void ProbeConnection::close() {
    loop_.remove(std::exchange(watch_, {}));
    socket_.reset();
}

}  // namespace cluster::supervisor
