// clusterctl scale: more or fewer instances of one worker; the highest numbers go first.
#include "clusterctl/failure.hpp"
#include "clusterctl/operation.hpp"
#include "clusterctl/verb.hpp"
#include "clusterctl/view/words.hpp"

namespace cluster::clusterctl {
namespace {

class ScaleVerb final : public Verb {
public:
    [[nodiscard]] VerbInfo info() const override {
        return {.name = "scale",
                .aliases = {},
                .usage = "[options] NAME N|+N|-N",
                .summary = "Change the number of a worker's instances"};
    }
    void declare(OptionSink& options) override {
        options.words("NAME N", words_,
                      "The worker, and how many instances (or how many more or fewer)");
        wait_.declare(options);
    }
    [[nodiscard]] int run(Session& session) override {
        if (words_.size() != 2) {
            throw usage_failure("expected a worker and a number",
                                "for example: clusterctl scale api 4");
        }
        const tl::expected<ScaleBy, std::string> by = parse_scale(words_[1]);
        if (!by) throw usage_failure(by.error(), "for example: clusterctl scale api +2");
        (void)wait_.limit();
        Client client(session.directories());
        client.connect();
        ctl::OperationAnswer operation =
            client.change(ctl::request::Scale{words_[0], by->instances, by->delta});
        return finish_operation(session, client, std::move(operation), wait_,
                                Shown{.names = {words_[0]}});
    }

private:
    std::vector<std::string> words_;
    WaitOptions wait_;
};

}  // namespace

std::unique_ptr<Verb> make_scale() {
    return std::make_unique<ScaleVerb>();
}

}  // namespace cluster::clusterctl
