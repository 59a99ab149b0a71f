// The numbers of an image's voxels, in as little memory as holds them.
//
// Most scanners' images are whole numbers of 16 bits or of single precision, and so are what most
// filters make of them. Such numbers are kept in single precision, half of double; who reads them
// gets the same doubles either way.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <iterator>
#include <type_traits>
#include <utility>
#include <vector>

namespace consilium::engine {

// The smaller of the two precisions that surely holds every number of a type.
template <typename Number>
using Holding =
    std::conditional_t<sizeof(Number) <= 2 || std::is_same_v<Number, float>, float, double>;

// [voxel_count], in the order of Grid::Index.
class VoxelValues {
 public:
  VoxelValues() = default;
  VoxelValues(std::vector<float> values) : singles_(std::move(values)) {}
  VoxelValues(std::vector<double> values) : doubles_(std::move(values)) {}
  VoxelValues(std::initializer_list<double> values) : doubles_(values) {}
  // In single precision if that changes none of them; NaN and infinities fit into both.
  [[nodiscard]] static VoxelValues Smallest(std::vector<double> values);
  [[nodiscard]] static VoxelValues Smallest(std::vector<float> values) { return values; }

  [[nodiscard]] std::size_t size() const { return singles_.size() + doubles_.size(); }
  [[nodiscard]] double operator[](std::size_t i) const {
    return singles_.empty() ? doubles_[i] : static_cast<double>(singles_[i]);
  }
  // work(values): a vector of floats or of doubles, as they are kept.
  template <typename Work>
  decltype(auto) Visit(const Work& work) const {
    return singles_.empty() ? work(doubles_) : work(singles_);
  }
  // A copy of all.
  [[nodiscard]] std::vector<double> AsDoubles() const {
    return Visit(
        [](const auto& values) { return std::vector<double>(values.begin(), values.end()); });
  }
  // Writes what both precisions hold, so that they stay as they are kept.
  void Set(std::size_t i, float value) {
    if (singles_.empty()) {
      doubles_[i] = static_cast<double>(value);
    } else {
      singles_[i] = value;
    }
  }
  // All of them, to be written: they are kept in double precision from here on.
  [[nodiscard]] std::vector<double>& Doubles();

  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = double;
    using difference_type = std::ptrdiff_t;
    using pointer = const double*;
    using reference = double;
    Iterator(const VoxelValues& of, std::size_t at) : of_(&of), at_(at) {}
    double operator*() const { return (*of_)[at_]; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    Iterator operator++(int) { return {*of_, at_++}; }
    bool operator==(const Iterator& other) const { return at_ == other.at_; }

   private:
    const VoxelValues* of_;
    std::size_t at_;
  };
  [[nodiscard]] Iterator begin() const { return {*this, 0}; }
  [[nodiscard]] Iterator end() const { return {*this, size()}; }
  // The same numbers, however they are kept.
  friend bool operator==(const VoxelValues& a, const VoxelValues& b);

 private:
  std::vector<float> singles_;  // one of the two is empty
  std::vector<double> doubles_;
};

}  // namespace consilium::engine
