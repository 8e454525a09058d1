#include "ctl/node_fields.hpp"

namespace cluster::ctl {
namespace {

using core::NodeSchedule;
using core::NodeSpec;

NodeSchedule read_schedule(FieldReader& fields) {
    const std::string word = fields.text("schedule");
    if (word == "shared") return NodeSchedule::shared;
    if (word == "round-robin") return NodeSchedule::round_robin;
    throw FieldError(fields.path("schedule") + ": expected \"shared\" or \"round-robin\"");
}

}  // namespace

Json node_fields(const NodeSpec& node) {
    const bool is_shared = node.schedule == NodeSchedule::shared;
    return Json{{"cluster", node.cluster},
                {"schedule", is_shared ? "shared" : "round-robin"},
                {"drain", node.drain},
                {"shared_array_buffer", node.shared_array_buffer}};
}

NodeSpec read_node(const Json& value, const std::string& launch) {
    FieldReader fields(value, launch + ".node");
    NodeSpec node;
    node.cluster = fields.boolean("cluster");
    node.schedule = read_schedule(fields);
    node.drain = fields.boolean("drain");
    node.shared_array_buffer = fields.boolean("shared_array_buffer");
    fields.finish();
    if (!node.cluster && node != NodeSpec{}) {
        throw FieldError(launch + ".node: schedule, drain and shared_array_buffer belong to cluster");
    }
    return node;
}

}  // namespace cluster::ctl
