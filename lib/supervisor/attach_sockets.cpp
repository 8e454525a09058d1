#include "supervisor/attach_sockets.hpp"

#include <fmt/core.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "store/attach.hpp"
#include "supervisor/log.hpp"
#include "sys/clock.hpp"
#include "sys/family.hpp"
#include "sys/file.hpp"
#include "sys/packet_socket.hpp"
#include "sys/process.hpp"
#include "sys/socket.hpp"

namespace cluster::supervisor {
namespace {

/// In the key of a socket whose worker has no store. Above any index of one.
constexpr std::uint16_t kNoStore = 0xFFFF;

wire::HeldKey key_of(Run run, std::uint16_t store_index) {
    return {.kind = wire::HeldKind::attach,
            .index = store_index,
            .slot = run.slot.value,
            .generation = run.generation.value};
}

}  // namespace

Result<std::string> AttachSockets::open(Run run, const std::string& instance_id, std::uint32_t uid,
                                        std::uint32_t gid,
                                        const std::optional<StoreHandle>& store) {
    // Others may pass through the directory of root's daemon: their workers' sockets lie in it.
    const std::uint32_t mode = sys::current_uid() == 0 ? 0711 : 0700;
    if (auto made = sys::make_directory(directory_, mode); !made) {
        return tl::unexpected(made.error());
    }
    // Not later: it may be this very run, asked for once more after a takeover.
    if (const auto older = run_of(run.slot)) close(*older);
    std::string path = path_of(instance_id);
    auto socket = sys::listen_packets(path, uid, gid, kBacklog);
    if (!socket) return tl::unexpected(socket.error());
    const wire::HeldKey key = key_of(run, store ? store->index : kNoStore);
    keeper_.hold(key, socket->get());
    add(key, instance_id, std::move(*socket), store);
    return path;
}

void AttachSockets::resume(const wire::HeldKey& key, const std::string& instance_id,
                           sys::UniqueFd socket, const std::optional<StoreHandle>& store) {
    add(key, instance_id, std::move(socket), store);
}

void AttachSockets::add(const wire::HeldKey& key, const std::string& instance_id,
                        sys::UniqueFd socket, const std::optional<StoreHandle>& store) {
    const Run run{Slot{key.slot}, Generation{key.generation}};
    const auto sharing = sharing_.try_emplace(instance_id, 0).first;
    ++sharing->second;
    Entry& added = entries_[run.slot];
    added = {.run = run,
             .instance_id = &sharing->first,
             .socket = std::move(socket),
             .watch = {},
             .store_index = key.index,
             .store = store};
    if (auto watched = watch(added); !watched) {
        log::error(
            fmt::format("{}: {}", path_of(instance_id), std::strerror(watched.error().code)));
    }
}

std::string AttachSockets::path_of(const std::string& instance_id) const {
    return directory_ + "/" + instance_id + ".sock";
}

Status AttachSockets::watch(Entry& entry) {
    auto added = loop_.add(entry.socket.get(), {}, [this, slot = entry.run.slot](const ev::Ready&) {
        answer_waiting(slot);
    });
    if (!added) return tl::unexpected(added.error());
    entry.watch = *added;
    return {};
}

void AttachSockets::close(Run run) {
    const auto found = entries_.find(run.slot);
    if (found == entries_.end() || found->second.run != run) return;
    if (found->second.watch.is_set()) loop_.remove(found->second.watch);
    keeper_.drop(key_of(run, found->second.store_index));
    const auto sharing = sharing_.find(*found->second.instance_id);
    entries_.erase(found);
    // The file may be that of a newer run of the same instance, in another slot.
    if (--sharing->second > 0) return;
    static_cast<void>(sys::remove_file(path_of(sharing->first)));
    sharing_.erase(sharing);
}

std::optional<Run> AttachSockets::run_of(Slot slot) const {
    const auto found = entries_.find(slot);
    if (found == entries_.end()) return std::nullopt;
    return found->second.run;
}

void AttachSockets::answer_waiting(Slot slot) {
    const auto found = entries_.find(slot);
    if (found == entries_.end()) return;
    Entry& entry = found->second;
    for (int i = 0; i < kMaxPerTurn; ++i) {
        const auto peer = sys::accept_connection(entry.socket.get());
        if (peer) {
            answer(entry, peer->get());
            continue;
        }
        const int code = peer.error().code;
        if (code == ECONNABORTED || code == EINTR) continue;
        if (code == EAGAIN) return;
        // Out of descriptors: the connection stays in the queue, and looking away for a moment
        // keeps a level-triggered loop from turning round it.
        log::warn(fmt::format("{}: cannot accept: {}, trying again", path_of(*entry.instance_id),
                              std::strerror(code)));
        loop_.remove(std::exchange(entry.watch, {}));
        unwatched_.push_back(slot);
        retry_at_ = earliest(retry_at_, sys::monotonic_now() + kRetry);
        return;
    }
}

bool AttachSockets::is_of_run(Run run, std::int32_t pid) const {
    const auto record = keeper_.slot(run.slot);
    const bool is_known = record && record->generation == run.generation.value && record->pid > 0;
    return is_known && sys::is_of_family(pid, record->pid);
}

/// A newer run of the same instance has its socket at the same path.
const AttachSockets::Entry* AttachSockets::entry_for(const Entry& asked, std::int32_t pid) const {
    if (pid <= 0) return nullptr;  // of a pid namespace that is none of ours
    if (is_of_run(asked.run, pid)) return &asked;
    for (const auto& [slot, entry] : entries_) {
        const bool is_same = entry.instance_id == asked.instance_id && entry.run != asked.run;
        if (is_same && is_of_run(entry.run, pid)) return &entry;
    }
    return nullptr;
}

void AttachSockets::answer(const Entry& entry, int peer) const {
    const auto credentials = sys::peer_credentials(peer);
    const Entry* of_peer = credentials ? entry_for(entry, credentials->pid) : nullptr;
    store::AttachAnswer answer;
    std::vector<int> fds;
    sys::UniqueFd channel;
    if (of_peer == nullptr) {
        answer.code = EACCES;
        log::debug(fmt::format("{}: refused process {}", path_of(*entry.instance_id),
                               credentials ? credentials->pid : 0));
    } else if (of_peer->store) {
        answer.add({.kind = store::AttachKind::store,
                    .inode = of_peer->store->inode,
                    .generation = of_peer->store->generation});
        fds.push_back(of_peer->store->fd);
    }
    if (of_peer != nullptr && store::asks_for_channel(sys::abstract_peer_name(peer))) {
        if (auto opened = channel_for_(of_peer->run)) channel = std::move(*opened);
    }
    if (channel.is_open()) {
        answer.add({.kind = store::AttachKind::channel});
        fds.push_back(channel.get());
    }
    std::array<std::byte, store::kMaxAttachBytes> packet{};
    const std::size_t size = store::encode_attach(answer, packet);
    // A peer that is gone, or whose descriptors in flight are too many, asks again.
    static_cast<void>(sys::send_packet(peer, std::span<const std::byte>{packet}.first(size), fds));
}

void AttachSockets::on_time(Instant now) {
    if (!retry_at_ || now < *retry_at_) return;
    retry_at_.reset();
    for (const Slot slot : std::exchange(unwatched_, {})) {
        const auto found = entries_.find(slot);
        if (found == entries_.end() || found->second.watch.is_set()) continue;
        if (!watch(found->second)) {
            unwatched_.push_back(slot);
            retry_at_ = now + kRetry;
        }
    }
}

}  // namespace cluster::supervisor
