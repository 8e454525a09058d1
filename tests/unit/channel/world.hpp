// A world for the router that writes down what is asked of it, and a store in a map.
#pragma once

#include <cerrno>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "channel/router.hpp"

namespace cluster::channel {

class MapStore final : public StoreDoor {
public:
    Result<Found> get(std::string_view key) override {
        const auto found = values.find(std::string{key});
        if (found == values.end()) return fail(Op::store, ENOENT);
        return Found{found->second.first, found->second.second};
    }
    Result<std::uint64_t> set(std::string_view key, std::string_view value, Duration ttl) override {
        last_ttl = ttl;
        values[std::string{key}] = {std::string{value}, ++tokens};
        return tokens;
    }
    Result<std::uint64_t> compare_and_set(std::string_view key, std::optional<std::uint64_t> token,
                                          std::string_view value, Duration ttl) override {
        const auto found = values.find(std::string{key});
        if (!token && found != values.end()) return fail(Op::store, EEXIST);
        if (token && found == values.end()) return fail(Op::store, ENOENT);
        if (token && found->second.second != *token) return fail(Op::store, ESTALE);
        return set(key, value, ttl);
    }
    Status remove(std::string_view key) override {
        if (values.erase(std::string{key}) == 0) return fail(Op::store, ENOENT);
        return {};
    }
    Result<std::int64_t> increment(std::string_view key, std::int64_t by) override {
        auto& [text, token] = values[std::string{key}];
        if (text == "text") return fail(Op::store, EMEDIUMTYPE);
        const std::int64_t value = (text.empty() ? 0 : std::stoll(text)) + by;
        text = std::to_string(value);
        token = ++tokens;
        return value;
    }
    Result<std::int64_t> increment(std::string_view key, std::int64_t by,
                                   StoreAttempt& attempt) override {
        attempt = {1, static_cast<std::uint64_t>(++changes)};
        return increment(key, by);
    }
    bool may_have_made(StoreAttempt& attempt) override { return attempt.front() != 0; }
    Result<std::int64_t> count(std::string_view name, std::int64_t by) override {
        return counters[std::string{name}] += by;
    }

    std::map<std::string, std::pair<std::string, std::uint64_t>> values;
    std::map<std::string, std::int64_t> counters;
    std::uint64_t tokens = 0;
    std::uint64_t changes = 0;  // that were written down
    Duration last_ttl{0};
};

class TestWorld final : public World {
public:
    bool deliver(Run to, std::string_view line) override {
        if (is_full) return false;
        lines[to.slot.value].emplace_back(line.substr(0, line.size() - 1));
        return line.back() == '\n';
    }
    void on_ready(Run run) override { said(run, "ready"); }
    void on_status(Run run, std::string_view text) override {
        said(run, "status " + std::string{text});
    }
    void on_heartbeat(Run run) override { said(run, "heartbeat"); }
    void on_internal(Run run, std::string_view line) override {
        said(run, "internal " + std::string{line});
    }
    void on_logged(Run run, std::string_view text) override {
        said(run, "log " + std::string{text});
    }
    void on_rule_failed(Run run, std::size_t rule, std::string_view reason) override {
        said(run, "rule " + std::to_string(rule) + ": " + std::string{reason});
    }
    StoreDoor* store_of(Run) override { return has_store ? &store : nullptr; }
    bool is_observed() const override { return is_watched; }
    void observe(const Observed& message) override {
        observed.push_back(std::string{message.from} + "|" + std::string{message.topic} + "|" +
                           std::string{message.data});
    }
    void answer(OutsideReply reply) override { answers.push_back(std::move(reply)); }

    /// What was delivered to a slot since it was asked last.
    std::vector<std::string> take(std::uint32_t slot) { return std::exchange(lines[slot], {}); }
    std::string take_one(std::uint32_t slot) {
        auto taken = take(slot);
        return taken.size() == 1 ? taken.front()
                                 : "not one line but " + std::to_string(taken.size());
    }

    std::map<std::uint32_t, std::vector<std::string>> lines;
    std::vector<std::string> events;
    std::vector<std::string> observed;
    std::vector<OutsideReply> answers;
    MapStore store;
    bool has_store = true;
    bool is_watched = true;
    bool is_full = false;

private:
    void said(Run run, const std::string& what) {
        events.push_back(std::to_string(run.slot.value) + " " + what);
    }
};

/// Instances api.0 … api.2 (node, @site) in slots 0 … 2, job.0 (json) in slot 3.
struct TestRouter {
    TestRouter() : router(spec, world) {
        for (std::uint32_t slot = 0; slot < 4; ++slot)
            add(slot, slot < 3 ? "api" : "job", slot % 3);
    }
    Run run(std::uint32_t slot) { return {Slot{slot}, Generation{1}}; }
    void add(std::uint32_t slot, const std::string& worker, std::uint32_t number) {
        if (!records.contains(slot)) records[slot] = std::make_unique<Record>();
        router.add({.run = run(slot),
                    .worker = worker,
                    .number = number,
                    .group = worker == "api" ? "site" : "",
                    .is_node = worker == "api",
                    .record = records[slot].get()});
    }
    void say(std::uint32_t slot, std::string_view line) { router.on_line(run(slot), line, now); }
    Counts& counts(std::uint32_t slot) { return records[slot]->counts; }

    core::ChannelSpec spec;
    TestWorld world;
    std::map<std::uint32_t, std::unique_ptr<Record>> records;
    Router router;
    Instant now = from_ns(1'000'000'000);
};

}  // namespace cluster::channel
