// `node_cluster` and what belongs to it.
#include <string>

#include "conf/values.hpp"
#include "conf/worker.hpp"
#include "core/node_launch.hpp"

namespace cluster::conf {
namespace {

using core::ChannelMode;

void check_cluster(WorkerDraft& draft) {
    const Field& field = *draft.node_cluster;
    const core::Launch& launch = draft.spec.launch;
    if (launch.channel == ChannelMode::off || launch.channel == ChannelMode::json) {
        draft.channel->refuse("has to be \"node\" (or \"auto\") with node_cluster = true");
    }
    if (launch.node.shared_array_buffer && launch.store.kind == core::StoreChoice::Kind::none) {
        draft.node_shared_array_buffer->refuse("needs the store, and store = false takes it away");
    }
    if (launch.command.empty()) return;  // reported already
    if (const auto mistake = core::node_mistake(launch)) {
        field.refuse("needs a script; the command " + *mistake);
    }
}

}  // namespace

void read_node_cluster(WorkerDraft& draft, const Field& field) {
    draft.node_cluster = field;
    draft.spec.launch.node.cluster = read_flag(field).value_or(false);
}

void read_node_schedule(WorkerDraft& draft, const Field& field) {
    draft.node_options.push_back(field);
    constexpr Choice<core::NodeSchedule> kSchedules[] = {
        {"shared", core::NodeSchedule::shared}, {"round-robin", core::NodeSchedule::round_robin}};
    core::NodeSchedule& schedule = draft.spec.launch.node.schedule;
    schedule = read_choice(field, kSchedules).value_or(schedule);
}

void read_node_drain(WorkerDraft& draft, const Field& field) {
    draft.node_options.push_back(field);
    draft.spec.launch.node.drain = read_flag(field).value_or(true);
}

void read_node_shared_array_buffer(WorkerDraft& draft, const Field& field) {
    draft.node_options.push_back(field);
    draft.node_shared_array_buffer = field;
    draft.spec.launch.node.shared_array_buffer = read_flag(field).value_or(false);
}

void finish_node(WorkerDraft& draft) {
    core::Readiness& ready = draft.spec.policy.ready;
    if (draft.spec.launch.node.cluster) {
        if (!draft.ready) ready.kind = core::Readiness::Kind::listen;
        return check_cluster(draft);
    }
    for (const Field& field : draft.node_options) {
        field.refuse("belongs to node_cluster = true");
    }
    draft.spec.launch.node = {};
    if (ready.kind == core::Readiness::Kind::listen) {
        draft.ready->refuse("\"listen\" belongs to node_cluster = true; for other programs see "
                            "{ tcp = … }");
    }
}

}  // namespace cluster::conf
