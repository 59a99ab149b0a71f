// The version of what the engine computes; part of every table of features.
#pragma once

namespace consilium::engine {

// Raised when any feature of any image could come out otherwise.
inline constexpr char kVersion[] = "consilium-engine 0.2.0";

}  // namespace consilium::engine
