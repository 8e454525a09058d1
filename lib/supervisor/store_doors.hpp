// The stores as workers reach them by message: this process attaches a segment like any worker and
// is one participant in it.
//
// Unlike settling (stores.hpp), a door reads what workers may have written, the header included;
// lib/store checks it at the attach and at each use, so that a scribbled segment costs a refusal or
// a wrong answer, nothing else. What this process had in its hands when it was killed is given back
// by its successor, as for any other dead participant.
#pragma once

#include <map>
#include <memory>
#include <unordered_map>

#include "base/ids.hpp"
#include "channel/store_door.hpp"
#include "core/fleet.hpp"
#include "supervisor/stores.hpp"

namespace cluster::supervisor {

class StoreDoors {
public:
    /// Requires: both outlive this.
    StoreDoors(const core::Fleet& fleet, Stores& stores);
    ~StoreDoors();
    StoreDoors(const StoreDoors&) = delete;
    StoreDoors& operator=(const StoreDoors&) = delete;

    /// The store of the run's worker. Null: it has none, or its segment cannot be attached, which
    /// is logged once for each segment.
    [[nodiscard]] channel::StoreDoor* door_of(Run run);

private:
    class Door;
    /// Which store a run has stays the same as long as it runs; to find it may take a look into the
    /// user database.
    struct Known {
        Generation generation;
        Door* door = nullptr;
    };

    [[nodiscard]] Door* look_up(Run run);
    [[nodiscard]] Door* open(const std::string& store);

    const core::Fleet& fleet_;
    Stores& stores_;
    std::map<std::uint16_t, std::unique_ptr<Door>> doors_;  // by index; null: it cannot be attached
    std::unordered_map<Slot, Known> known_;
};

}  // namespace cluster::supervisor
