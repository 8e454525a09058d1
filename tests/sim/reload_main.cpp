// cluster_reload_cases: every mode of reload, with every blow at every step of it, and with the
// supervisor killed at every boundary. Never serve fewer instances than the mode promises, and the
// reload ends with the right answer. Every run of it plays the same cases.
#include <cstdint>
#include <iostream>
#include <memory>
#include <string>
#include <vector>

#include "sim/reload_cases.hpp"

namespace {

using cluster::core::Readiness;
using cluster::core::ReloadSpec;
using cluster::sim::Aim;
using cluster::sim::Blow;
using cluster::sim::ReloadCase;
using cluster::sim::ReloadStage;
using cluster::sim::Shape;

constexpr std::uint32_t kSlots = 8;  // none has more runs at a time

Shape overlap(std::uint32_t instances, std::uint32_t batch, std::uint32_t surge) {
    Shape shape;
    shape.name = "overlap, " + std::to_string(instances) + " instances, batch " +
                 std::to_string(batch) + ", surge " + std::to_string(surge);
    shape.instances = instances;
    shape.reload.mode = ReloadSpec::Mode::overlap;
    shape.reload.batch = batch;
    shape.reload.surge = surge;
    return shape;
}

Shape stop_first(std::uint32_t instances, std::uint32_t batch) {
    Shape shape;
    shape.name = "stop_first, " + std::to_string(instances) + " instances, batch " +
                 std::to_string(batch);
    shape.instances = instances;
    shape.reload.mode = ReloadSpec::Mode::stop_first;
    shape.reload.batch = batch;
    shape.down_at_a_time = batch;
    return shape;
}

Shape by_signal(std::uint32_t instances, std::uint32_t batch) {
    Shape shape = overlap(instances, batch, 1);
    shape.name = "signal, " + std::to_string(instances) + " instances, batch " +
                 std::to_string(batch);
    shape.reload.signal = 1;
    return shape;
}

template <class Change>
Shape changed(Shape shape, const std::string& how, Change change) {
    shape.name += ", " + how;
    change(shape);
    return shape;
}

std::vector<Shape> all_shapes() {
    const auto is_automatic = [](Shape& shape) { shape.reload.mode = ReloadSpec::Mode::automatic; };
    const auto is_update = [](Shape& shape) { shape.by_update = true; };
    const auto is_exec = [](Shape& shape) { shape.ready = Readiness::Kind::exec; };
    const auto is_stubborn = [](Shape& shape) { shape.is_stubborn = true; };
    std::vector<Shape> shapes{overlap(1, 1, 1),  overlap(2, 1, 1),  overlap(3, 2, 1),
                              overlap(3, 2, 2),  overlap(3, 3, 3),  stop_first(1, 1),
                              stop_first(2, 1),  stop_first(3, 2),  stop_first(3, 3),
                              by_signal(2, 1),   by_signal(3, 2)};
    shapes.push_back(changed(overlap(2, 1, 1), "by update", is_update));
    shapes.push_back(changed(overlap(3, 2, 2), "ready by exec", is_exec));
    shapes.push_back(changed(overlap(2, 2, 2), "deaf to the stop signal", is_stubborn));
    shapes.push_back(changed(stop_first(2, 1), "by update", is_update));
    shapes.push_back(changed(stop_first(3, 2), "ready by exec", is_exec));
    shapes.push_back(changed(stop_first(2, 1), "deaf to the stop signal", is_stubborn));
    shapes.push_back(changed(stop_first(3, 1), "auto", is_automatic));
    shapes.push_back(changed(by_signal(2, 1), "by update", is_update));
    shapes.push_back(changed(overlap(3, 1, 2), "auto with a socket", [&](Shape& shape) {
        is_automatic(shape);
        shape.has_socket = true;
    }));
    return shapes;
}

class Enumeration {
public:
    [[nodiscard]] bool has_failed() const { return has_failed_; }
    [[nodiscard]] std::uint64_t cases() const { return cases_; }

    void play_shape(const Shape& shape, bool with_pairs) {
        const std::uint64_t before = cases_;
        const ReloadStage::Result calm = play({shape, Blow::none, 0, 0, 0});
        for (std::uint64_t boundary = 1; boundary <= calm.boundaries; ++boundary) {
            play({shape, Blow::none, 0, 0, boundary});
        }
        for (std::uint32_t step = 0; step < calm.steps; ++step) {
            for (auto blow = static_cast<int>(Blow::none) + 1;
                 blow <= static_cast<int>(cluster::sim::kLastBlow); ++blow) {
                play_blow(shape, step, static_cast<Blow>(blow), with_pairs);
            }
        }
        std::cout << shape.name << ": " << calm.steps << " steps, " << cases_ - before
                  << " cases\n";
    }

private:
    void play_blow(const Shape& shape, std::uint32_t step, Blow blow, bool with_pairs) {
        const Aim aim = cluster::sim::aim_of(blow);
        const std::uint32_t targets =
            aim == Aim::slot ? kSlots : (aim == Aim::instance ? shape.instances : 1);
        for (std::uint32_t target = 0; target < targets && !has_failed_; ++target) {
            const ReloadStage::Result alone = play({shape, blow, step, target, 0});
            if (!alone.was_struck) {
                --cases_;  // nobody stood there: the calm once more
                continue;
            }
            if (!with_pairs) continue;
            for (std::uint64_t boundary = alone.first_boundary;
                 boundary <= alone.boundaries && !has_failed_; ++boundary) {
                play({shape, blow, step, target, boundary});
            }
        }
    }

    ReloadStage::Result play(const ReloadCase& played) {
        if (has_failed_) return {};
        ++cases_;
        const auto stage = std::make_unique<ReloadStage>(played);
        const ReloadStage::Result result = stage->play();
        if (result.broken.empty()) return result;
        has_failed_ = true;
        stage->print_trace(std::cout);
        std::cout << "BROKEN: " << result.broken << "\n  " << cluster::sim::describe(played)
                  << "\n";
        return result;
    }

    std::uint64_t cases_ = 0;
    bool has_failed_ = false;
};

}  // namespace

int main() {
    Enumeration enumeration;
    for (const Shape& shape : all_shapes()) {
        // Both a blow and a kill: where few instances make few boundaries.
        enumeration.play_shape(shape, shape.instances <= 2);
        if (enumeration.has_failed()) return 1;
    }
    std::cout << enumeration.cases() << " cases\n";
    return 0;
}
