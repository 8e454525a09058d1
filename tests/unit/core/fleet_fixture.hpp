// A fleet under test with a world that answers only when it is told to.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/fleet.hpp"
#include "unit/core/subject.hpp"

namespace cluster::core::test {

inline WorkerSpec worker_spec(const std::string& name, std::uint32_t instances) {
    WorkerSpec spec;
    spec.name = name;
    spec.instances = instances;
    spec.policy = plain_policy();
    spec.launch.command = {"/bin/" + name};
    return spec;
}

struct World {
    Fleet fleet{{8, 4}, 1};
    Instant now = from_ns(1'000'000'000'000);

    Refusal add(const WorkerSpec& spec) {
        fleet.begin_operation();
        return fleet.add(spec, false, now);
    }
    Refusal scale(const std::string& name, std::uint32_t instances) {
        fleet.begin_operation();
        return fleet.scale(index(name), instances, now);
    }
    void remove(const std::string& name) {
        fleet.begin_operation();
        fleet.remove(index(name), now);
    }
    [[nodiscard]] std::uint32_t index(const std::string& name) const {
        const Worker* const worker = fleet.find_worker(name);
        return worker == nullptr ? ~0U : worker->index;
    }
    void spawned(std::uint32_t slot) {
        fleet.on_event(Slot{slot}, event::SpawnSucceeded{generation(slot)}, now);
    }
    void exits(std::uint32_t slot, int code) {
        fleet.on_event(Slot{slot}, event::ProcessExited{generation(slot), exit_code(code), false},
                       now);
    }
    void pass(Duration duration) {
        now += duration;
        fleet.on_time(now);
    }
    /// Everything that is starting gets up and becomes good.
    void settle() {
        for (const Place* const place : fleet.places()) spawned(place->slot.value);
        pass(std::chrono::seconds{1});
        static_cast<void>(fleet.take_actions());
    }
    [[nodiscard]] Generation generation(std::uint32_t slot) const {
        return fleet.find(Slot{slot})->instance.generation;
    }
    [[nodiscard]] std::string state(std::uint32_t slot) const {
        const Place* const place = fleet.find(Slot{slot});
        return place == nullptr ? "none" : state_name(place->instance.state);
    }
    /// "api.0@2 api.1@3 -api.1@1": every place with its slot; -: retired, +: incoming.
    [[nodiscard]] std::string layout() const {
        std::string text;
        for (const Place* const place : fleet.places()) {
            if (!text.empty()) text += ' ';
            if (place->role == Role::retired) text += '-';
            if (place->role == Role::incoming) text += '+';
            text += fleet.worker(place->worker)->spec.name + '.' + std::to_string(place->number);
            text += '@' + std::to_string(place->slot.value);
        }
        return text;
    }
    /// "spawn 0#1 signal 1#1:15 release 1#1": the actions since the last call.
    [[nodiscard]] std::string actions() {
        std::string text;
        for (const SlotAction& item : fleet.take_actions()) {
            if (!text.empty()) text += ' ';
            const std::string slot = std::to_string(item.slot.value) + '#';
            if (const auto* spawn = std::get_if<action::Spawn>(&item.action)) {
                text += "spawn " + slot + std::to_string(spawn->generation.value);
            } else if (const auto* signal = std::get_if<action::Signal>(&item.action)) {
                text += "signal " + slot + std::to_string(signal->generation.value) + ':' +
                        std::to_string(signal->signal);
            } else if (const auto* release = std::get_if<action::Release>(&item.action)) {
                text += "release " + slot + std::to_string(release->generation.value);
            } else if (const auto* told = std::get_if<action::SignalLeader>(&item.action)) {
                text += "tell " + slot + std::to_string(told->generation.value) + ':' +
                        std::to_string(told->signal);
            }
        }
        return text;
    }
};

}  // namespace cluster::core::test
