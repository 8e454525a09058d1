// What can be told from the fleet by looking at all of it; for rare use.
#include "core/fleet.hpp"

namespace cluster::core {

Fleet::Bounds Fleet::room() const {
    Bounds room{0, 0};
    for (std::uint32_t slot = 0; slot < bounds_.slots; ++slot) room.slots += is_free(slot) ? 1 : 0;
    for (const auto& entry : entries_) room.workers += entry ? 0 : 1;
    return room;
}

}  // namespace cluster::core
