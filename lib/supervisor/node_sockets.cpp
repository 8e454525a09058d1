// How the sockets of Node.js clusters are opened, kept and taken over, and what is said when one
// cannot be.

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>
#include <utility>

#include "json/text.hpp"
#include "supervisor/log.hpp"
#include "supervisor/node_clusters.hpp"
#include "supervisor/plan_compiler.hpp"
#include "supervisor/records.hpp"
#include "supervisor/sockets.hpp"
#include "sys/file.hpp"
#include "sys/file_rights.hpp"
#include "sys/listener.hpp"
#include "sys/memory.hpp"
#include "sys/process.hpp"

namespace cluster::supervisor {
namespace {

using json::Json;
using nodecluster::Address;
using nodecluster::Bound;
using nodecluster::HandleId;
using nodecluster::Kept;

/// For finding out who has an address: once per failure, and the loop may be late by so much.
constexpr Duration kHolderPatience = std::chrono::milliseconds{100};

wire::HeldKey key_of(wire::HeldKind kind, HandleId id) {
    return {.kind = kind, .index = 0, .slot = wire::kNoSlot, .generation = id.value};
}

// --- the text beside a held socket: the table is in NODECLUSTER.md

std::string text_of(const Kept& kept, std::uint64_t inode) {
    const Address& address = kept.address;
    return dump_line(Json{{"app", kept.app},
                          {"key", kept.key},
                          {"kind", static_cast<int>(address.kind)},
                          {"host", address.host},
                          {"port", address.port},
                          {"path", address.path},
                          {"is_four", address.is_four},
                          {"ipv6_only", address.ipv6_only},
                          {"reuse_address", address.reuse_address},
                          {"backlog", address.backlog},
                          {"readable_all", address.readable_all},
                          {"writable_all", address.writable_all},
                          {"data", kept.data},
                          {"inode", inode}});
}

struct KeptText {
    Kept kept;
    std::uint64_t inode = 0;
};

std::optional<KeptText> read_text(HandleId id, const std::string& text) {
    const auto object = json::parse(text);
    if (!object) return std::nullopt;
    const auto word = [&](const char* name) { return object->text_of(name).value_or(""); };
    const auto number = [&](const char* name) { return object->get(name).counter().value_or(0); };
    const auto flag = [&](const char* name) { return object->get(name).boolean() == true; };
    KeptText result;
    Kept& kept = result.kept;
    kept.id = id;
    kept.app = word("app");
    kept.key = word("key");
    kept.data = word("data");
    Address& address = kept.address;
    const bool is_named = !kept.app.empty() && !kept.key.empty() && !kept.data.empty();
    if (!is_named || number("kind") > 2) return std::nullopt;
    address.kind = static_cast<Address::Kind>(number("kind"));
    address.host = word("host");
    address.port = static_cast<std::uint16_t>(number("port"));
    address.path = word("path");
    address.is_four = flag("is_four");
    address.ipv6_only = flag("ipv6_only");
    address.reuse_address = flag("reuse_address");
    address.backlog = static_cast<std::uint32_t>(number("backlog"));
    address.readable_all = flag("readable_all");
    address.writable_all = flag("writable_all");
    result.inode = number("inode");
    return result;
}

// --- addresses

bool is_file(const Address& address) {
    return address.kind == Address::Kind::path;
}

sys::ListenAddress listen_address(const Address& address) {
    using Family = sys::ListenAddress::Family;
    using Type = sys::ListenAddress::Type;
    sys::ListenAddress result;
    result.type = address.kind == Address::Kind::udp ? Type::datagram : Type::stream;
    if (is_file(address)) {
        result.family = Family::path;
        result.path = address.path;
        return result;
    }
    result.host = address.host;
    const bool is_any_four = address.kind == Address::Kind::udp && address.is_four;
    if (result.host.empty() && is_any_four) result.host = "0.0.0.0";
    result.port = address.port;
    result.ipv6_only = address.ipv6_only;
    return result;
}

std::string readable(const Kept& kept) {
    const Address& address = kept.address;
    if (is_file(address)) return address.path;
    const std::string host = address.host.empty() ? "*" : address.host;
    const bool is_six = host.find(':') != std::string::npos;
    return fmt::format("{}{}:{}", address.kind == Address::Kind::udp ? "udp " : "",
                       is_six ? "[" + host + "]" : host, address.port);
}

/// "127.0.0.1:8000" or "[::1]:8000".
Bound bound_of(int fd, const Address& address) {
    if (is_file(address)) return {};
    const std::string text = sys::bound_address(fd).value_or("");
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon + 1 == text.size()) return {};
    Bound bound;
    bound.is_six = text.front() == '[';
    bound.host = bound.is_six ? text.substr(1, colon - 2) : text.substr(0, colon);
    std::from_chars(text.data() + colon + 1, text.data() + text.size(), bound.port);
    return bound;
}

}  // namespace

// --- opening

void NodeClusters::execute(const nodecluster::action::Open& action) {
    const Kept& kept = action.handle;
    auto opened = open(action);
    if (!opened) {
        complain(action.run, kept.app, kept.key,
                 fmt::format("cannot listen at {}: {}", readable(kept),
                             reason(kept, opened.error())));
        return primary_.on_failed(kept.id, -opened.error().code);
    }
    Socket& socket = sockets_[kept.id] = std::move(*opened);
    hold(socket);
    complaints_.erase({kept.app, kept.key});
    log::info(fmt::format("{}: its cluster listens at {}", kept.app, address_text(socket)));
    primary_.on_opened(kept.id, bound_of(socket.fd.get(), kept.address), now_);
}

/// A worker gets no file that it could not make itself; ports are opened with our own rights, as
/// by a primary that starts workers as another user.
Result<NodeClusters::Socket> NodeClusters::open(const nodecluster::action::Open& action) const {
    const Address& address = action.handle.address;
    const sys::ListenAddress wanted = listen_address(address);
    const sys::ListenOptions options{.backlog = static_cast<int>(address.backlog),
                                     .reuse_port = false,
                                     .nonblocking = true,
                                     .reuse_address = address.reuse_address};
    Socket socket;
    socket.kept = action.handle;
    if (!is_file(address)) {
        auto fd = sys::open_listener(wanted, options);
        if (!fd) return tl::unexpected(fd.error());
        socket.fd = std::move(*fd);
        return socket;
    }
    const core::Place* place = fleet_.find(action.run.slot);
    if (place == nullptr) return fail(Op::lookup_user, ESRCH);
    const auto owner = output_owner(fleet_.spec_of(*place).launch);
    const std::uint32_t uid = owner ? owner->uid : sys::current_uid();
    const sys::FileRights rights{uid, owner ? owner->gid : sys::current_gid()};
    const std::array<std::uint32_t, 1> owners{uid};
    if (auto removed = sys::remove_stale_socket(address.path, wanted.type, owners); !removed) {
        return tl::unexpected(removed.error());
    }
    auto fd = sys::open_listener(wanted, options);
    if (!fd) return tl::unexpected(fd.error());
    socket.fd = std::move(*fd);
    const auto info = sys::file_info(address.path);
    if (!info) return tl::unexpected(info.error());
    socket.inode = info->inode;
    constexpr std::uint32_t kPermissions = 0777;
    const std::uint32_t mode = (info->mode & kPermissions) | (address.readable_all ? 0444U : 0U) |
                               (address.writable_all ? 0222U : 0U);
    auto set = sys::set_socket_file(address.path, mode, sys::kKeepId, sys::kKeepId);
    if (!set) return tl::unexpected(set.error());
    return socket;
}

std::string NodeClusters::reason(const Kept& kept, const Error& error) const {
    const bool is_port = !is_file(kept.address);
    if (error.code == EACCES && is_port) return privilege_text(kept.address.port);
    if (error.code != EADDRINUSE) {
        return fmt::format("{}: {}", op_name(error.op), std::strerror(error.code));
    }
    for (const auto& [id, other] : sockets_) {
        const bool is_there = is_port ? bound_of(other.fd.get(), other.kept.address).port ==
                                            kept.address.port
                                      : other.kept.address.path == kept.address.path;
        const bool is_like = other.kept.address.kind == kept.address.kind;
        if (!is_there || !is_like) continue;
        return other.kept.app == kept.app
                   ? fmt::format("it listens at {} already, which is not the same address",
                                 address_text(other))
                   : fmt::format("worker {} of this daemon has it", other.kept.app);
    }
    const auto holder = sys::find_holder(listen_address(kept.address), kHolderPatience);
    if (!holder) return "somebody has it already";
    if (holder->pid == 0) return "somebody has it already whom we cannot see, or not quickly";
    return fmt::format("{} (pid {}) has it already", holder->name, holder->pid);
}

/// A worker that tries again and again does not fill the log.
void NodeClusters::complain(Run run, const std::string& app, const std::string& key,
                            std::string problem) {
    constexpr std::size_t kMaxComplaints = 256;
    if (complaints_.size() >= kMaxComplaints) complaints_.clear();
    std::string& last = complaints_[{app, key}];
    if (last != problem) log::error(fmt::format("{}: {}", app, problem));
    last = problem;
    problems_[run] = std::move(problem);
}

std::string NodeClusters::refusal_text(const std::string& key, int error) {
    switch (-error) {
        case EADDRINUSE:
            return fmt::format("it listens at {} already", key);
        case EMFILE:
            return fmt::format("it listens at {} addresses, which is all that one process may",
                               nodecluster::kMaxHeld);
        case ENFILE:
            return fmt::format("its processes listen at {} addresses, which is all that they may",
                               nodecluster::kMaxHandles);
        case EBADF:
            return "it wants to listen at a descriptor: a worker of a cluster has to name an "
                   "address (sockets of the config are for workers without node_cluster)";
        case E2BIG:
            return fmt::format("its TLS server brings more than {} bytes", nodecluster::kMaxData);
        default:
            return fmt::format("it wants to listen at no valid address: {}",
                               std::strerror(-error));
    }
}

std::string NodeClusters::address_text(const Socket& socket) {
    if (is_file(socket.kept.address)) return socket.kept.address.path;
    const std::string bound = sys::bound_address(socket.fd.get()).value_or(readable(socket.kept));
    return (socket.kept.address.kind == Address::Kind::udp ? "udp " : "") + bound;
}

// --- keeping

void NodeClusters::hold(const Socket& socket) {
    hold_text(socket);  // first: a socket without it would be a stranger
    keeper_.hold(key_of(wire::HeldKind::cluster_socket, socket.kept.id), socket.fd.get());
}

void NodeClusters::hold_text(const Socket& socket) {
    const auto file =
        sys::make_sealed_file("clusterd-cluster", text_of(socket.kept, socket.inode));
    if (!file) {
        log::error(fmt::format("{}: no memory to remember {}", socket.kept.app,
                               readable(socket.kept)));
        return;
    }
    keeper_.hold(key_of(wire::HeldKind::cluster_socket_text, socket.kept.id), file->get());
}

void NodeClusters::execute(const nodecluster::action::Keep& action) {
    const auto found = sockets_.find(action.handle.id);
    if (found == sockets_.end()) return;
    found->second.kept = action.handle;
    hold_text(found->second);
}

void NodeClusters::execute(const nodecluster::action::Close& action) {
    const auto found = sockets_.find(action.handle);
    if (found == sockets_.end()) return;
    Socket socket = std::move(found->second);
    sockets_.erase(found);
    loop_.remove(std::exchange(socket.watch, {}));
    keeper_.drop(key_of(wire::HeldKind::cluster_socket_text, socket.kept.id));
    keeper_.drop(key_of(wire::HeldKind::cluster_socket, socket.kept.id));
    log::info(fmt::format("{}: its cluster no longer listens at {}", socket.kept.app,
                          address_text(socket)));
    remove_file(socket);
}

void NodeClusters::remove_file(const Socket& socket) const {
    if (!is_file(socket.kept.address)) return;
    const auto info = sys::file_info(socket.kept.address.path);
    if (!info || info->inode != socket.inode) return;
    // It belongs to the worker's user, whose rights are enough, and all that he is to have.
    const sys::FileRights rights{info->uid, sys::current_gid()};
    static_cast<void>(sys::remove_file(socket.kept.address.path));
}

void NodeClusters::remove_files() {
    for (const auto& [id, socket] : sockets_) remove_file(socket);
}

// --- taking over

void NodeClusters::resume(std::vector<HeldDescriptor>& held, Instant now) {
    now_ = now;
    std::map<HandleId, sys::UniqueFd> fds;
    for (HeldDescriptor& item : held) {
        if (item.key.kind != wire::HeldKind::cluster_socket) continue;
        fds[HandleId{item.key.generation}] = std::move(item.fd);
    }
    for (const HeldDescriptor& item : held) {
        if (item.key.kind != wire::HeldKind::cluster_socket_text) continue;
        const HandleId id{item.key.generation};
        const auto text = read_held_text(item.fd.get());
        auto kept = text ? read_text(id, *text) : std::nullopt;
        auto fd = fds.extract(id);
        if (!kept || fd.empty()) {
            // Killed before it was opened: whoever has asked is asked for again.
            keeper_.drop(item.key);
            if (!fd.empty()) keeper_.drop(key_of(wire::HeldKind::cluster_socket, id));
            continue;
        }
        Socket& socket = sockets_[id];
        socket.kept = std::move(kept->kept);
        socket.inode = kept->inode;
        socket.fd = std::move(fd.mapped());
        primary_.resume(socket.kept, bound_of(socket.fd.get(), socket.kept.address), now);
    }
    for (const auto& [id, fd] : fds) keeper_.drop(key_of(wire::HeldKind::cluster_socket, id));
    for (const core::Place* place : fleet_.places()) {
        const Run run{place->slot, place->instance.generation};
        if (!channels_.is_open(run)) continue;
        add(*place, fleet_.spec_of(*place), now);
        const auto facts = primary_.facts(run);
        const bool listens = facts && (facts->notes & nodecluster::note::kListening) != 0;
        if (listens) ready_.push_back(run);
    }
    execute();
}

}  // namespace cluster::supervisor
