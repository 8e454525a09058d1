// Answers as fields of a JSON document: shared by the answers on the wire and by clusterctl's
// documents. Private to this room.
#pragma once

#include "ctl/field_reader.hpp"
#include "ctl/protocol.hpp"

namespace cluster::ctl {

[[nodiscard]] Json answer_fields(const VersionAnswer& answer);
[[nodiscard]] Json answer_fields(const StatusAnswer& answer);
[[nodiscard]] Json answer_fields(const OperationAnswer& answer);
[[nodiscard]] Json answer_fields(const RotateAnswer& answer);

}  // namespace cluster::ctl
