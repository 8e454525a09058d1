#include "supervisor/handover.hpp"

#include <fmt/core.h>

#include <cstring>
#include <utility>

#include "core/selector.hpp"
#include "supervisor/channels.hpp"
#include "supervisor/log.hpp"
#include "supervisor/plan_compiler.hpp"
#include "sys/process.hpp"

namespace cluster::supervisor {

Status Handover::prepare(const core::Place& place, const core::WorkerSpec& spec,
                         Inheritance& inheritance) {
    std::optional<StoreHandle> store;
    if (const auto name = store_of(spec.launch)) {
        auto opened = stores_.open(*name);
        if (!opened) return tl::unexpected(opened.error());
        store = *opened;
        inheritance.set_store(store->fd, store->inode, store->generation);
    }
    if (!store && channel_mode(spec.launch) == core::ChannelMode::off) return {};
    // Of a user who cannot be found the plan will tell.
    const OutputOwner owner =
        output_owner(spec.launch).value_or(OutputOwner{sys::current_uid(), sys::current_gid()});
    auto path =
        attach_.open({place.slot, place.instance.generation},
                     core::instance_id(spec.name, place.number), owner.uid, owner.gid, store);
    if (path) {
        inheritance.set_variable("CLUSTER_SOCKET", std::move(*path));
    } else if (!std::exchange(is_without_socket_told_, true)) {
        // The inherited descriptor is there, which is enough for most.
        log::warn(
            fmt::format("workers start without CLUSTER_SOCKET, as no attach socket can be "
                        "made: {}: {}",
                        op_name(path.error().op), std::strerror(path.error().code)));
    }
    return {};
}

void Handover::resume(std::vector<HeldDescriptor>& held) {
    stores_.resume(held);
    for (HeldDescriptor& item : held) {
        if (item.key.kind != wire::HeldKind::attach) continue;
        const Run run{Slot{item.key.slot}, Generation{item.key.generation}};
        const core::Place* const place = fleet_.find(run);
        if (place == nullptr) {
            keeper_.drop(item.key);
            continue;
        }
        const std::string& worker = fleet_.worker(place->worker)->spec.name;
        attach_.resume(item.key, core::instance_id(worker, place->number), std::move(item.fd),
                       stores_.find(AttachSockets::store_index(item.key)));
    }
}

void Handover::follow(const std::vector<Slot>& slots) {
    for (const Slot slot : slots) {
        const auto socket = attach_.run_of(slot);
        if (socket && fleet_.find(*socket) == nullptr) attach_.close(*socket);
    }
}

void Handover::on_time(Instant now) {
    stores_.on_time(now);
    sweep_.on_time(stores_.segments(), now);
    attach_.on_time(now);
}

}  // namespace cluster::supervisor
