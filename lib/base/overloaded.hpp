// One visitor out of several lambdas, for std::visit: Overloaded{[](const A&) {…}, [](const B&)
// {…}}. A variant without a case for one of its alternatives does not compile.
#pragma once

namespace cluster {

template <class... Cases>
struct Overloaded : Cases... {
    using Cases::operator()...;
};
// clang 14 does not deduce the arguments of an aggregate by itself.
template <class... Cases>
Overloaded(Cases...) -> Overloaded<Cases...>;

}  // namespace cluster
