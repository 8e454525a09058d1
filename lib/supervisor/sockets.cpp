#include "supervisor/sockets.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <map>
#include <utility>

#include "ctl/spec_json.hpp"
#include "supervisor/log.hpp"
#include "supervisor/records.hpp"
#include "sys/file.hpp"
#include "sys/memory.hpp"

namespace cluster::supervisor {
namespace {

wire::HeldKey key_of(wire::HeldKind kind, std::uint64_t id) {
    return {.kind = kind, .index = 0, .slot = wire::kNoSlot, .generation = id};
}

/// The held text: the inode of the socket's file in decimal, a newline, the spec as JSON.
struct HeldText {
    std::uint64_t inode = 0;
    core::SocketSpec spec;
};

std::optional<HeldText> read_text(int fd) {
    const auto text = read_held_text(fd);
    if (!text) return std::nullopt;
    const std::size_t newline = text->find('\n');
    if (newline == std::string::npos) return std::nullopt;
    HeldText result;
    const auto read = std::from_chars(text->data(), text->data() + newline, result.inode);
    if (read.ec != std::errc{} || *read.ptr != '\n') return std::nullopt;
    auto spec = ctl::parse_socket(std::string_view(*text).substr(newline + 1));
    if (!spec) return std::nullopt;
    result.spec = std::move(*spec);
    return result;
}

bool names(const std::vector<const core::WorkerSpec*>& workers, const core::SocketSpec& socket) {
    return std::any_of(workers.begin(), workers.end(), [&](const core::WorkerSpec* worker) {
        const auto sockets = core::sockets_of(*worker);
        return std::any_of(sockets.begin(), sockets.end(), [&](const core::SocketSpec* each) {
            return each->name == socket.name && core::is_same_socket(*each, socket);
        });
    });
}

/// What the fleet wants, by name. A worker that is being deleted wants what it has until it is
/// gone.
std::map<std::string, core::SocketSpec> wanted_by(const core::Fleet& fleet) {
    std::map<std::string, core::SocketSpec> wanted;
    for (const bool is_deleted : {false, true}) {
        for (const core::Worker* worker : fleet.workers()) {
            if (worker->is_deleted != is_deleted) continue;
            for (const core::SocketSpec* socket : core::sockets_of(worker->spec)) {
                wanted.emplace(socket->name, *socket);
            }
        }
    }
    // Runs that were not replaced yet may have to be started again.
    for (const core::Worker* worker : fleet.workers()) {
        for (const auto& [revision, spec] : worker->older) {
            for (const core::SocketSpec* socket : core::sockets_of(spec)) {
                wanted.emplace(socket->name, *socket);
            }
        }
    }
    return wanted;
}

}  // namespace

std::optional<std::string> socket_mistake(const std::vector<const core::WorkerSpec*>& workers) {
    std::map<std::string, std::pair<const core::SocketSpec*, const core::WorkerSpec*>> known;
    for (const core::WorkerSpec* worker : workers) {
        for (const core::SocketSpec* socket : core::sockets_of(*worker)) {
            const auto [found, is_new] = known.try_emplace(socket->name, socket, worker);
            if (is_new || *found->second.first == *socket) continue;
            const core::WorkerSpec& other = *found->second.second;
            return fmt::format(
                "socket {} is not the same for worker {} ({}{}) and worker {} ({}{}): give one of "
                "them another name, or say the same in both files",
                socket->name, other.name, core::listen_text(*found->second.first),
                other.source.empty() ? "" : ", " + other.source, worker->name,
                core::listen_text(*socket), worker->source.empty() ? "" : ", " + worker->source);
        }
    }
    return std::nullopt;
}

// --- entries

Sockets::Entry* Sockets::find(const core::SocketSpec& spec) {
    for (Entry& entry : entries_) {
        if (entry.spec.name == spec.name && core::is_same_socket(entry.spec, spec)) return &entry;
    }
    return nullptr;
}

const Sockets::Entry* Sockets::find(const core::SocketSpec& spec) const {
    return const_cast<Sockets*>(this)->find(spec);
}

Sockets::Entry& Sockets::add(const core::SocketSpec& spec) {
    Entry& entry = entries_.emplace_back();
    entry.id = ++last_id_;
    entry.spec = spec;
    return entry;
}

/// A socket that only changes its name is taken over from the name that nobody will use: it could
/// not be opened a second time.
void Sockets::adopt(Entry& entry, const std::vector<const core::WorkerSpec*>& after) {
    for (const Entry& other : entries_) {
        const bool is_other = other.id != entry.id && other.fd.is_open();
        if (!is_other || !core::is_same_socket(other.spec, entry.spec)) continue;
        if (names(after, other.spec)) continue;
        auto fd = sys::duplicate(other.fd.get());
        if (!fd) continue;
        entry.fd = std::move(*fd);
        entry.inode = other.inode;
        const core::SocketSpec wanted = std::exchange(entry.spec, other.spec);
        entry.spec.name = wanted.name;
        if (auto changed = change(entry, wanted); !changed) {
            log::error(
                fmt::format("socket {}: {}", wanted.name, std::strerror(changed.error().code)));
        }
        hold(entry);
        return;
    }
}

void Sockets::hold(const Entry& entry) {
    hold_text(entry);  // first: a descriptor without it would be a stranger
    keeper_.hold(key_of(wire::HeldKind::socket, entry.id), entry.fd.get());
}

void Sockets::hold_text(const Entry& entry) {
    const auto file = sys::make_sealed_file(
        "clusterd-socket", fmt::format("{}\n{}", entry.inode, ctl::render_socket(entry.spec)));
    if (!file) {
        log::error(fmt::format("socket {}: no memory to remember it", entry.spec.name));
        return;
    }
    keeper_.hold(key_of(wire::HeldKind::socket_spec, entry.id), file->get());
}

void Sockets::remove(std::uint64_t id) {
    const auto found =
        std::find_if(entries_.begin(), entries_.end(), [&](const auto& e) { return e.id == id; });
    if (found == entries_.end()) return;
    Entry entry = std::move(*found);
    entries_.erase(found);
    if (entry.lookup) jobs_.abandon_probe(entry.lookup->run);
    if (!entry.fd.is_open()) return;
    keeper_.drop(key_of(wire::HeldKind::socket_spec, id));
    keeper_.drop(key_of(wire::HeldKind::socket, id));
    const bool is_shared = std::any_of(entries_.begin(), entries_.end(), [&](const Entry& other) {
        return other.fd.is_open() && core::is_same_socket(other.spec, entry.spec);
    });
    if (is_shared) return;
    log::info(
        fmt::format("socket {} ({}) is closed", entry.spec.name, core::listen_text(entry.spec)));
    if (entry.spec.family != core::SocketSpec::Family::path) return;
    const auto info = sys::file_info(entry.spec.path);
    if (info && info->inode == entry.inode) {
        static_cast<void>(sys::remove_file(entry.spec.path));
    }
}

void Sockets::remove_files() {
    for (const Entry& entry : entries_) {
        if (entry.spec.family != core::SocketSpec::Family::path || !entry.fd.is_open()) continue;
        const auto info = sys::file_info(entry.spec.path);
        if (info && info->inode == entry.inode) {
            static_cast<void>(sys::remove_file(entry.spec.path));
        }
    }
}

// --- what a predecessor left

void Sockets::resume(std::vector<HeldDescriptor>& held) {
    std::map<std::uint64_t, sys::UniqueFd> fds;
    for (HeldDescriptor& item : held) {
        if (item.key.kind == wire::HeldKind::socket) fds[item.key.generation] = std::move(item.fd);
    }
    for (HeldDescriptor& item : held) {
        if (item.key.kind != wire::HeldKind::socket_spec) continue;
        const std::uint64_t id = item.key.generation;
        last_id_ = std::max(last_id_, id);
        auto text = read_text(item.fd.get());
        auto fd = fds.extract(id);
        if (!text || fd.empty()) {
            // Killed before it was opened: follow() opens it anew.
            keeper_.drop(item.key);
            if (!fd.empty()) keeper_.drop(key_of(wire::HeldKind::socket, id));
            continue;
        }
        Entry& entry = entries_.emplace_back();
        entry.id = id;
        entry.spec = std::move(text->spec);
        entry.inode = text->inode;
        entry.fd = std::move(fd.mapped());
        entry.is_from_before = true;
    }
    for (const auto& [id, fd] : fds) {
        last_id_ = std::max(last_id_, id);
        keeper_.drop(key_of(wire::HeldKind::socket, id));
    }
    for (std::uint32_t i = kJobSlots; i < keeper_.table().header.slots_used; ++i) {
        const auto record = keeper_.slot(Slot{i});
        if (!record) continue;
        const Run run{Slot{i}, Generation{record->generation}};
        if (is_alive(run)) runs_from_before_.push_back(run);
    }
    has_leftovers_ = !entries_.empty();
}

// --- runs

bool Sockets::is_alive(Run run) const {
    const auto record = keeper_.slot(run.slot);
    if (!record || record->state == wire::SlotState::free) return false;
    // What was asked of the keeper just now is not in its table yet.
    if (record->generation < run.generation.value) return true;
    if (record->generation != run.generation.value) return false;
    return record->state != wire::SlotState::exited || record->group_alive != 0;
}

bool Sockets::has_run(const Entry& entry) const {
    for (const auto& [slot, user] : users_) {
        const auto& [generation, ids] = user;
        const bool has_it = std::find(ids.begin(), ids.end(), entry.id) != ids.end();
        if (has_it && is_alive({slot, generation})) return true;
    }
    return entry.is_from_before && std::any_of(runs_from_before_.begin(), runs_from_before_.end(),
                                               [this](Run run) { return is_alive(run); });
}

/// A run that is gone may have changed what all who share the socket share, and some servers
/// remove the file of a UNIX socket when they end.
Status Sockets::restore(Entry& entry, const core::SocketSpec& spec, Instant now) {
    if (has_run(entry)) return {};
    if (spec.family == core::SocketSpec::Family::path) {
        const auto info = sys::file_info(spec.path);
        if (!info || info->inode != entry.inode) {
            log::warn(
                fmt::format("socket {}: {} is gone; it is opened anew", spec.name, spec.path));
            entry.fd.reset();
            try_open(entry, now);
            return entry.failure ? Status{tl::unexpected(*entry.failure)} : Status{};
        }
    }
    return change(entry, spec);
}

Result<bool> Sockets::prepare(Run run, const core::WorkerSpec& spec, Inheritance& inheritance,
                              std::optional<int>& standard_input, bool has_waited, Instant now) {
    const auto sockets = core::sockets_of(spec);
    if (sockets.empty()) return true;
    bool is_ready = true;
    for (const core::SocketSpec* socket : sockets) {
        Entry* entry = find(*socket);
        if (entry == nullptr) entry = &add(*socket);
        const bool has_just_failed = has_waited && entry->failure;
        if (!entry->fd.is_open() && !has_just_failed) try_open(*entry, now);
        if (entry->fd.is_open()) continue;
        if (entry->failure) return fail(Op::listening_socket, entry->failure->code);
        is_ready = false;
    }
    if (!is_ready) return false;
    Users ids;
    for (const core::SocketSpec* socket : sockets) {
        Entry& entry = *find(*socket);
        if (auto restored = restore(entry, *socket, now); !restored) {
            return fail(Op::listening_socket, restored.error().code);
        }
        ids.push_back(entry.id);
    }
    for (const core::SocketSpec& socket : spec.sockets) {
        inheritance.add_socket(socket.name, find(socket)->fd.get());
    }
    if (spec.stdin_socket) standard_input = find(*spec.stdin_socket)->fd.get();
    users_[run.slot] = {run.generation, std::move(ids)};
    return true;
}

// --- the fleet

std::optional<std::string> Sockets::open(const std::vector<const core::WorkerSpec*>& added,
                                         const std::vector<const core::WorkerSpec*>& after,
                                         Instant now) {
    std::vector<std::uint64_t> opened;
    for (const core::WorkerSpec* worker : added) {
        for (const core::SocketSpec* socket : core::sockets_of(*worker)) {
            Entry* entry = find(*socket);
            if (entry == nullptr) {
                entry = &add(*socket);
                opened.push_back(entry->id);
            }
            if (entry->fd.is_open()) continue;
            adopt(*entry, after);
            if (!entry->fd.is_open()) try_open(*entry, now);
            if (!entry->failure) continue;
            std::string problem = entry->problem;
            for (const std::uint64_t id : opened) remove(id);
            return problem;
        }
    }
    return std::nullopt;
}

void Sockets::follow(const core::Fleet& fleet, Instant now) {
    const std::map<std::string, core::SocketSpec> wanted = wanted_by(fleet);
    for (Entry& entry : entries_) entry.is_wanted = false;
    for (const auto& [name, spec] : wanted) {
        Entry* entry = find(spec);
        if (entry == nullptr) {
            entry = &add(spec);
            try_open(*entry, now);
        }
        entry->is_wanted = true;
        if (entry->spec == spec) continue;
        if (!entry->fd.is_open()) {
            entry->spec = spec;
        } else if (auto changed = change(*entry, spec); !changed) {
            log::error(fmt::format("socket {}: its change does not hold: {}", name,
                                   std::strerror(changed.error().code)));
        } else {
            hold_text(*entry);
        }
    }
    has_leftovers_ = false;
    std::vector<std::uint64_t> gone;
    for (const Entry& entry : entries_) {
        if (entry.is_wanted) continue;
        const bool is_left = entry.fd.is_open() && has_run(entry);
        has_leftovers_ = has_leftovers_ || is_left;
        if (!is_left) gone.push_back(entry.id);
    }
    for (const std::uint64_t id : gone) remove(id);
}

std::optional<std::string> Sockets::problem(const core::WorkerSpec& spec) const {
    for (const core::SocketSpec* socket : core::sockets_of(spec)) {
        const Entry* entry = find(*socket);
        if (entry == nullptr || entry->fd.is_open()) continue;
        if (!entry->lookup) return entry->problem;
        return fmt::format("socket {}: {} is being looked up", socket->name, socket->host);
    }
    return std::nullopt;
}

Sockets::Seen Sockets::seen(const core::SocketSpec& spec) const {
    const Entry* entry = find(spec);
    if (entry == nullptr) return {};
    Seen result;
    result.problem = entry->problem;
    if (entry->lookup) result.problem = fmt::format("{} is being looked up", entry->spec.host);
    if (!entry->fd.is_open()) return result;
    result.address = sys::bound_address(entry->fd.get()).value_or(core::listen_text(spec));
    result.waiting = sys::waiting_in(entry->fd.get());
    return result;
}

}  // namespace cluster::supervisor
