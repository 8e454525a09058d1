// What a worker writes into its channel, cut where the input says: lines, envelopes and the record
// under them. Whatever comes, each line towards a worker is one line of JSON, and the record is one
// that a successor takes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/assert.hpp"
#include "channel/intake.hpp"
#include "channel/outlet.hpp"
#include "channel/router.hpp"

namespace ch = cluster::channel;
using cluster::Generation;
using cluster::Run;
using cluster::Slot;

namespace {

constexpr ch::Sizes kSizes{.max_line = 4096, .max_queue = 8192};

struct Channel {
    Channel()
        : words(ch::Memory::size_for(kSizes) / 8), memory(ch::Memory::make(bytes(), kSizes)) {}
    std::span<std::byte> bytes() {
        return {reinterpret_cast<std::byte*>(words.data()), words.size() * 8};
    }
    std::vector<std::uint64_t> words;
    ch::Memory memory;
    ch::Outlet outlet{memory, cluster::core::SlowReader::drop_oldest};
};

class World final : public ch::World {
public:
    explicit World(Channel (&channels)[2]) : channels_(channels) {}

    bool deliver(Run to, std::string_view line) override {
        CLUSTER_ASSERT(line.find('\n') == line.size() - 1);
        CLUSTER_ASSERT(nlohmann::json::accept(line) || line.find("\\u") != std::string_view::npos);
        return channels_[to.slot.value].outlet.push(line) != ch::Outlet::Pushed::refused;
    }
    void on_ready(Run) override {}
    void on_status(Run, std::string_view) override {}
    void on_heartbeat(Run) override {}
    void on_internal(Run, std::string_view) override {}
    void on_logged(Run, std::string_view) override {}
    void on_rule_failed(Run, std::size_t, std::string_view) override {}
    ch::StoreDoor* store_of(Run) override { return nullptr; }
    bool is_observed() const override { return false; }
    void observe(const ch::Observed&) override {}
    void answer(ch::OutsideReply) override {}

private:
    Channel (&channels_)[2];
};

void take_in(ch::Intake& intake, Channel& channel, std::string_view bytes) {
    const ch::Pieces room = intake.room(bytes.size());
    const std::size_t first = std::min(room.first.size(), bytes.size());
    std::memcpy(room.first.data(), bytes.data(), first);
    const std::size_t second = std::min(room.second.size(), bytes.size() - first);
    if (second > 0) std::memcpy(room.second.data(), bytes.data() + first, second);
    channel.memory.record().receiving.bytes = static_cast<std::uint32_t>(first + second);
    intake.on_received();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* input, std::size_t size) {
    if (size == 0) return 0;
    const std::size_t part = std::size_t{1} + input[0] * 16U;
    const std::string_view text(reinterpret_cast<const char*>(input) + 1, size - 1);

    ch::Json json;
    const std::string_view line = text.substr(0, text.find('\n'));
    const bool is_accepted = json.parse(line);
    CLUSTER_ASSERT(!is_accepted || ch::is_json(line));
    // A half of a surrogate pair in an escape is a matter of taste; depth has a bound of ours.
    if (is_accepted && line.find("\\u") == std::string_view::npos) {
        CLUSTER_ASSERT(nlohmann::json::accept(line));
    }

    Channel channels[2];
    World world{channels};
    cluster::core::ChannelSpec spec;
    spec.rules.emplace_back().forward = "api";
    ch::Router router{spec, world};
    for (std::uint32_t slot = 0; slot < 2; ++slot) {
        router.add({.run = {Slot{slot}, Generation{1}},
                    .worker = "api",
                    .number = slot,
                    .group = "",
                    .is_node = true,
                    .record = &channels[slot].memory.record()});
    }
    ch::Intake intake{channels[0].memory};
    for (std::size_t at = 0; at < text.size(); at += part) {
        take_in(intake, channels[0], text.substr(at, part));
        while (const auto next = intake.next_line()) {
            router.on_line({Slot{0}, Generation{1}}, *next, cluster::from_ns(1));
        }
    }
    intake.on_end();
    router.remove({Slot{1}, Generation{1}});
    for (Channel& channel : channels) CLUSTER_ASSERT(ch::Memory::attach(channel.bytes()));
    return 0;
}
