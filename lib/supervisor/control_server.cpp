#include "supervisor/control_server.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <utility>

#include "supervisor/log.hpp"
#include "sys/file.hpp"

namespace cluster::supervisor {
namespace {

/// More than that in one turn is left for the next one.
constexpr int kMaxAcceptsPerTurn = 64;

int descriptor_limit() {
    constexpr std::uint64_t kHighest = std::numeric_limits<int>::max();
    return static_cast<int>(std::min(sys::raise_descriptor_limit(), kHighest));
}

ctl::RpcError line_too_long() {
    return {.code = ctl::ErrorCode::invalid_request,
            .message = fmt::format("the line is longer than {} bytes", ctl::kMaxLineBytes),
            .diagnostics = {}};
}

}  // namespace

ControlServer::ControlServer(ev::Loop& loop, sys::UniqueFd listener, std::uint32_t own_uid)
    : loop_(loop),
      listener_(std::move(listener)),
      own_uid_(own_uid),
      descriptor_limit_(descriptor_limit()) {}

Status ControlServer::listen() {
    auto watch = loop_.add(listener_.get(), {}, [this](const ev::Ready&) { accept_all(); });
    if (!watch) return tl::unexpected(watch.error());
    listener_watch_ = *watch;
    return {};
}

void ControlServer::accept_all() {
    for (int i = 0; i < kMaxAcceptsPerTurn; ++i) {
        auto socket = sys::accept_connection(listener_.get());
        if (socket && socket->get() < descriptor_limit_ - kSpareDescriptors) {
            admit(std::move(*socket));
            continue;
        }
        // A high number means that all lower ones are taken; who asks now asks again.
        const int code = socket ? EMFILE : socket.error().code;
        if (code == ECONNABORTED || code == EINTR) continue;
        if (code != EAGAIN && !evict_silent()) {
            // Out of descriptors or memory. The connection stays in the backlog; looking away for a
            // moment keeps a level-triggered loop from turning round it.
            log::warn(fmt::format("control socket: cannot accept (errno {}), trying again", code));
            loop_.remove(std::exchange(listener_watch_, {}));
            is_short_of_descriptors_ = true;
        }
        return;
    }
}

void ControlServer::admit(sys::UniqueFd socket) {
    const auto peer = sys::peer_credentials(socket.get());
    if (!peer || (peer->uid != own_uid_ && peer->uid != 0)) {
        log::warn(
            fmt::format("control socket: refused a client of user {}", peer ? peer->uid : 0U));
        return;
    }
    if (clients_.size() - doomed_.size() >= kMaxClients && !evict_silent()) {
        log::warn("control socket: too many clients, all of them busy; refused one");
        return;
    }
    const ClientId id{next_id_++};
    Client client;
    client.socket = std::move(socket);
    client.peer = *peer;
    client.last_active = turn_;
    auto watch = loop_.add(client.socket.get(), {},
                           [this, id](const ev::Ready& ready) { on_ready(id, ready); });
    if (!watch) {
        log::warn(fmt::format("control socket: cannot watch a client (errno {}); it was let go",
                              watch.error().code));
        return;
    }
    client.watch = *watch;
    clients_.emplace(id, std::move(client));
}

bool ControlServer::evict_silent() {
    const auto* oldest = static_cast<const std::pair<const ClientId, Client>*>(nullptr);
    for (const auto& entry : clients_) {
        const Client& client = entry.second;
        if (client.unanswered != 0 || client.is_closing || client.last_active == turn_) continue;
        if (oldest == nullptr || client.last_active < oldest->second.last_active) oldest = &entry;
    }
    if (oldest == nullptr) return false;
    close(oldest->first);
    return true;
}

void ControlServer::on_ready(ClientId id, const ev::Ready& ready) {
    const auto found = clients_.find(id);
    if (found == clients_.end()) return;
    Client& client = found->second;
    client.last_active = turn_;
    if (ready.writable) flush(id, client);
    if (ready.readable && !client.is_closing) read_from(id, client);
    // What it asked before it went is still done.
    if (ready.hung_up && !client.has_lines) close(id);
}

void ControlServer::read_from(ClientId id, Client& client) {
    std::array<std::byte, 16384> buffer{};
    for (std::size_t total = 0; total < kReadPerTurn;) {
        const auto count = sys::read_some(client.socket.get(), buffer);
        if (!count && count.error().code == EAGAIN) return;
        if (!count) {
            close(id);
            return;
        }
        if (*count == 0) {
            // It will ask nothing more, but may still wait for answers: `printf … | nc -U` does.
            client.is_closing = true;
            flush(id, client);
            return;
        }
        total += *count;
        if (!client.lines.append({reinterpret_cast<const char*>(buffer.data()), *count})) {
            client.is_closing = true;
            refuse(id, client, {.id = {}, .error = line_too_long()});
            return;
        }
        client.has_lines = true;
    }
}

void ControlServer::take_line(ClientId id, Client& client) {
    const auto line = client.lines.take_line();
    client.has_lines = line.has_value();
    if (line) {
        auto request = ctl::parse_request(*line);
        if (request) {
            ++client.unanswered;
            requests_.push_back({id, client.peer, std::move(*request)});
        } else {
            refuse(id, client, request.error());
        }
    }
    if (client.watch.is_set()) flush(id, client);
}

void ControlServer::refuse(ClientId id, Client& client, const ctl::BadRequest& bad) {
    ++client.unanswered;
    answer(id, ctl::render_error(bad.id, bad.error));
}

void ControlServer::answer(ClientId id, std::string_view line, sys::UniqueFd descriptor) {
    const auto found = clients_.find(id);
    if (found == clients_.end() || !found->second.watch.is_set()) return;
    Client& client = found->second;
    if (descriptor.is_open()) {
        client.beside.push_back({client.unsent.size(), std::move(descriptor)});
    }
    client.unsent += line;
    --client.unanswered;
    flush(id, client);
}

/// Up to the next byte that has a descriptor beside it.
Result<std::size_t> ControlServer::send_next(Client& client, std::size_t sent) {
    std::string_view bytes = std::string_view(client.unsent).substr(sent);
    auto& beside = client.beside;
    const bool is_beside = !beside.empty() && beside.front().at == sent;
    const std::size_t following = is_beside ? 1 : 0;
    if (beside.size() > following) bytes = bytes.substr(0, beside[following].at - sent);
    if (!is_beside) return sys::send_some(client.socket.get(), bytes);
    auto count =
        sys::send_with_descriptor(client.socket.get(), bytes, beside.front().descriptor.get());
    if (count) beside.pop_front();
    return count;
}

void ControlServer::flush(ClientId id, Client& client) {
    std::size_t sent = 0;
    while (sent < client.unsent.size()) {
        const auto count = send_next(client, sent);
        if (!count && count.error().code == EAGAIN) break;
        if (!count) {
            close(id);
            return;
        }
        sent += *count;
    }
    client.unsent.erase(0, sent);
    for (Client::Beside& each : client.beside) each.at -= sent;
    const bool is_done = client.unsent.empty();
    const bool is_over = client.is_closing && !client.has_lines && client.unanswered == 0;
    if ((is_done && is_over) || client.unsent.size() > kMaxUnsentBytes) {
        close(id);
        return;
    }
    watch_as_needed(id, client);
}

void ControlServer::watch_as_needed(ClientId id, Client& client) {
    const bool has_enough = client.has_lines || client.unanswered >= kMaxUnanswered;
    const bool is_read = !client.is_closing && !has_enough;
    const bool is_written = !client.unsent.empty();
    if (is_read == client.is_read && is_written == client.is_written) return;
    client.is_read = is_read;
    client.is_written = is_written;
    const ev::Interest interest{.readable = is_read, .writable = is_written};
    if (!loop_.modify(client.watch, interest)) close(id);
}

void ControlServer::close(ClientId id) {
    const auto found = clients_.find(id);
    if (found == clients_.end() || !found->second.watch.is_set()) return;
    loop_.remove(std::exchange(found->second.watch, {}));
    found->second.is_closing = true;
    doomed_.push_back(id);
    gone_.push_back(id);
}

std::vector<ClientRequest> ControlServer::take_requests() {
    for (auto& [id, client] : clients_) {
        const bool may_ask = client.watch.is_set() && client.unanswered < kMaxUnanswered;
        if (client.has_lines && may_ask) take_line(id, client);
    }
    return std::exchange(requests_, {});
}

std::optional<Instant> ControlServer::next_deadline() const {
    for (const auto& [id, client] : clients_) {
        const bool may_ask = client.watch.is_set() && client.unanswered < kMaxUnanswered;
        if (client.has_lines && may_ask) return Instant{};
    }
    return accept_again_at_;
}

std::vector<ClientId> ControlServer::take_gone() {
    return std::exchange(gone_, {});
}

void ControlServer::on_time(Instant now) {
    ++turn_;
    const bool has_lost = !doomed_.empty();
    for (const ClientId id : std::exchange(doomed_, {})) clients_.erase(id);
    if (has_lost && clients_.empty()) is_emptied_ = true;
    if (is_short_of_descriptors_) {
        is_short_of_descriptors_ = false;
        accept_again_at_ = now + kAcceptRetry;
    }
    if (accept_again_at_ && now >= *accept_again_at_) {
        accept_again_at_.reset();
        if (!listen()) is_short_of_descriptors_ = true;
    }
}

}  // namespace cluster::supervisor
