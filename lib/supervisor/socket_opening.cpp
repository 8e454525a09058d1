// How a socket is opened, and what is said when it cannot be.

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

#include "conf/address.hpp"
#include "supervisor/log.hpp"
#include "supervisor/plan_compiler.hpp"
#include "supervisor/sockets.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"
#include "sys/process.hpp"
#include "sys/users.hpp"

namespace cluster::supervisor {
namespace {

using Family = core::SocketSpec::Family;

/// For finding out who has an address: once per failure, and a loop may be late by so much.
constexpr Duration kHolderPatience = std::chrono::milliseconds{100};
constexpr std::size_t kMaxAnswer = std::size_t{64} << 10U;

sys::ListenAddress address_of(const core::SocketSpec& spec, const std::string& host) {
    sys::ListenAddress address;
    address.family = static_cast<sys::ListenAddress::Family>(spec.family);
    address.type = static_cast<sys::ListenAddress::Type>(spec.type);
    address.host = host;
    address.port = spec.port;
    address.path = spec.path;
    address.ipv6_only = spec.ipv6_only;
    return address;
}

sys::ListenOptions options_of(const core::SocketSpec& spec) {
    return {.backlog = static_cast<int>(spec.backlog),
            .reuse_port = spec.reuse_port,
            .nonblocking = spec.nonblocking};
}

struct FileOwner {
    std::uint32_t uid = sys::kKeepId;
    std::uint32_t gid = sys::kKeepId;
};

Result<FileOwner> owner_of(const core::SocketSpec& spec) {
    FileOwner owner;
    if (!spec.user.empty()) {
        const auto user = sys::find_user(spec.user);
        if (!user) return tl::unexpected(user.error());
        owner = {user->uid, user->gid};
    }
    if (!spec.group.empty()) {
        const auto group = sys::find_group(spec.group);
        if (!group) return tl::unexpected(group.error());
        owner.gid = *group;
    }
    return owner;
}

std::string directory_of(const std::string& path) {
    const std::size_t slash = path.rfind('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string owner_name(const std::string& path) {
    const auto info = sys::file_info(path);
    if (!info) return "somebody else";
    const auto user = sys::find_user(info->uid);
    return user ? user->name : std::to_string(info->uid);
}

/// What the resolver found: its first IPv4 address, else its first other one. Everything reaches
/// "localhost" by IPv4, and a single descriptor cannot have both.
std::string choose_address(std::string_view answer) {
    std::string first;
    while (!answer.empty()) {
        const std::string_view line = answer.substr(0, answer.find('\n'));
        answer.remove_prefix(std::min(line.size() + 1, answer.size()));
        const auto address = conf::plain_address(std::string(line.substr(0, line.find(' '))));
        if (!address) continue;
        if (address->find(':') == std::string::npos) return *address;
        if (first.empty()) first = *address;
    }
    return first;
}

}  // namespace

std::string privilege_text(std::uint16_t port) {
    const auto start = sys::read_file("/proc/sys/net/ipv4/ip_unprivileged_port_start", 16);
    const std::string first = start ? start->substr(0, start->find('\n')) : "1024";
    return fmt::format(
        "port {} needs root or CAP_NET_BIND_SERVICE, as all ports below {} do "
        "(net.ipv4.ip_unprivileged_port_start)",
        port, first);
}

void Sockets::try_open(Entry& entry, Instant now) {
    if (entry.lookup) return;
    entry.failure.reset();
    const std::string& host = entry.spec.host;
    const bool is_internet = entry.spec.family == Family::internet;
    if (!is_internet || host.empty() || conf::plain_address(host)) return open_at(entry, host, now);
    // As everybody expects, and whatever a resolver would say.
    if (host == "localhost") return open_at(entry, "127.0.0.1", now);
    begin_lookup(entry, now);
}

void Sockets::open_at(Entry& entry, const std::string& host, Instant /*now*/) {
    const sys::ListenAddress address = address_of(entry.spec, host);
    if (auto bound = bind(entry, address); !bound) {
        entry.fd.reset();
        return fail_entry(entry, bound.error(), reason(entry, address, bound.error()));
    }
    entry.failure.reset();
    entry.problem.clear();
    hold(entry);
    log::info(
        fmt::format("socket {} listens at {} {}", entry.spec.name, core::kind_name(entry.spec),
                    sys::bound_address(entry.fd.get()).value_or(core::listen_text(entry.spec))));
}

Status Sockets::bind(Entry& entry, const sys::ListenAddress& address) {
    const core::SocketSpec& spec = entry.spec;
    const bool is_path = spec.family == Family::path;
    const auto owner = owner_of(spec);
    if (!owner) return tl::unexpected(owner.error());
    if (is_path) {
        if (auto made = sys::make_directories(directory_of(spec.path), 0755); !made) return made;
        const std::array<std::uint32_t, 2> owners{
            sys::current_uid(), owner->uid == sys::kKeepId ? sys::current_uid() : owner->uid};
        auto removed = sys::remove_stale_socket(spec.path, address.type, owners);
        if (!removed) return removed;
    }
    auto fd = sys::open_listener(address, options_of(spec));
    if (!fd) return tl::unexpected(fd.error());
    entry.fd = std::move(*fd);
    if (!is_path) return {};
    const auto info = sys::file_info(spec.path);
    if (!info) return tl::unexpected(info.error());
    entry.inode = info->inode;
    auto set = sys::set_socket_file(spec.path, spec.mode, owner->uid, owner->gid);
    // Nobody is to find a socket that has not the owner it should have.
    if (!set) static_cast<void>(sys::remove_file(spec.path));
    return set;
}

/// Of an open socket. Its spec is then `spec`.
Status Sockets::change(Entry& entry, const core::SocketSpec& spec) {
    const sys::ListenAddress address = address_of(spec, spec.host);
    auto set = sys::adjust_listener(entry.fd.get(), address, options_of(spec));
    if (!set) return set;
    const bool has_file = spec.family == Family::path;
    const bool is_other_file = spec.mode != entry.spec.mode || spec.user != entry.spec.user ||
                               spec.group != entry.spec.group;
    if (has_file && is_other_file) {
        auto owner = owner_of(spec);
        if (!owner) return tl::unexpected(owner.error());
        if (spec.user.empty() && !entry.spec.user.empty()) owner->uid = sys::current_uid();
        const bool had_group = !entry.spec.group.empty() || !entry.spec.user.empty();
        if (owner->gid == sys::kKeepId && had_group) owner->gid = sys::current_gid();
        set = sys::set_socket_file(spec.path, spec.mode, owner->uid, owner->gid);
        if (!set) return set;
    }
    entry.spec = spec;
    return {};
}

// --- failures

void Sockets::fail_entry(Entry& entry, const Error& error, std::string problem) {
    problem = fmt::format("socket {}: cannot listen at {}: {}", entry.spec.name,
                          core::listen_text(entry.spec), problem);
    // A worker that tries again and again does not fill the log.
    if (problem != entry.problem) log::error(problem);
    entry.failure = error;
    entry.problem = std::move(problem);
}

std::string Sockets::holder_text(const Entry& entry, const sys::ListenAddress& address) const {
    for (const Entry& other : entries_) {
        const bool is_unix = entry.spec.family != Family::internet;
        const bool is_like = other.id != entry.id && other.fd.is_open() &&
                             other.spec.family == entry.spec.family &&
                             other.spec.type == entry.spec.type;
        if (!is_like) continue;
        const std::string bound = sys::bound_address(other.fd.get()).value_or("");
        const std::string port = ":" + std::to_string(entry.spec.port);
        const bool has_port = bound.size() >= port.size() &&
                              bound.compare(bound.size() - port.size(), port.size(), port) == 0;
        const bool is_it = is_unix ? other.spec.path == entry.spec.path : has_port;
        if (is_it) return fmt::format("socket {} of this daemon has it", other.spec.name);
    }
    const auto holder = sys::find_holder(address, kHolderPatience);
    if (!holder) return "somebody has it already";
    if (holder->pid == 0) return "somebody has it already whom we cannot see, or not quickly";
    return fmt::format("{} (pid {}) has it already", holder->name, holder->pid);
}

std::string Sockets::reason(const Entry& entry, const sys::ListenAddress& address,
                            const Error& error) const {
    const core::SocketSpec& spec = entry.spec;
    const bool is_internet = spec.family == Family::internet;
    if (error.op == Op::lookup_user) return fmt::format("there is no user {}", spec.user);
    if (error.op == Op::lookup_group) return fmt::format("there is no group {}", spec.group);
    if (error.op == Op::check_owner && error.code == EPERM && entry.inode == 0) {
        return fmt::format("a stale socket of user {} is there: remove it, or set user = \"{}\"",
                           owner_name(spec.path), owner_name(spec.path));
    }
    if (error.op == Op::check_owner) return "only root can give the socket to another user";
    if (error.code == EADDRINUSE) return holder_text(entry, address);
    if (error.code == ENOTSOCK) return "there is a file which is no socket";
    if (error.op == Op::mkdir) {
        return fmt::format("cannot make the directory {}: {}", directory_of(spec.path),
                           std::strerror(error.code));
    }
    if (is_internet && error.code == EACCES) return privilege_text(spec.port);
    if (is_internet && error.code == EADDRNOTAVAIL) {
        return fmt::format("no interface of this machine has the address {}", address.host);
    }
    if (is_internet && error.code == EINVAL) {
        return fmt::format("no interface is called as in {}", address.host);
    }
    return fmt::format("{}: {}", op_name(error.op), std::strerror(error.code));
}

// --- lookups

void Sockets::begin_lookup(Entry& entry, Instant now) {
    const auto give_up = [&](const Error& error) {
        fail_entry(entry, error,
                   fmt::format("cannot look up {}: {}: {}", entry.spec.host, op_name(error.op),
                               std::strerror(error.code)));
    };
    auto output = sys::open_memory_file("clusterd-lookup", 0);
    if (!output) return give_up(output.error());
    const auto plan = compile_job({"getent", "ahosts", entry.spec.host}, path_);
    if (!plan) return give_up(plan.error());
    const std::uint64_t id = entry.id;
    const auto run = jobs_.start_probe(
        plan->get(), [this, id](const std::string& failure) { end_lookup(id, failure); },
        output->get());
    if (!run) return give_up({Op::limit_reached, EAGAIN});
    entry.lookup = Lookup{*run, std::move(*output), now + kLookupTimeout};
}

void Sockets::end_lookup(std::uint64_t id, const std::string& failure) {
    for (Entry& entry : entries_) {
        if (entry.id != id || !entry.lookup) continue;
        has_news_ = true;
        const Lookup lookup = std::move(*std::exchange(entry.lookup, std::nullopt));
        std::string answer(kMaxAnswer, '\0');
        const auto count =
            sys::read_at(lookup.output.get(), std::as_writable_bytes(std::span{answer}), 0);
        answer.resize(count.value_or(0));
        const std::string host = failure.empty() ? choose_address(answer) : "";
        if (!host.empty()) return open_at(entry, host, Instant{});
        // getent(1): 2, one of the keys was not found.
        const bool is_unknown = failure.empty() || failure == "exit code 2";
        return fail_entry(
            entry, {Op::listening_socket, EADDRNOTAVAIL},
            is_unknown ? fmt::format("no address is known for {}", entry.spec.host)
                       : fmt::format("cannot look up {}: getent: {}", entry.spec.host, failure));
    }
}

void Sockets::on_time(Instant now) {
    for (Entry& entry : entries_) {
        if (!entry.lookup || now < entry.lookup->until) continue;
        jobs_.abandon_probe(entry.lookup->run);
        entry.lookup.reset();
        has_news_ = true;
        fail_entry(entry, {Op::listening_socket, ETIMEDOUT},
                   fmt::format("the resolver did not answer about {}", entry.spec.host));
    }
}

std::optional<Instant> Sockets::next_deadline() const {
    std::optional<Instant> next;
    for (const Entry& entry : entries_) {
        if (entry.lookup) next = earliest(next, entry.lookup->until);
    }
    return next;
}

}  // namespace cluster::supervisor
