// Whatever a hospital's folders hold, the batch goes on, and every bad case is told in words that
// say what was found and what to do.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>
#include <set>

#include "tests/conformance/dicom/written_masks.h"
#include "tests/extraction/extract_program.h"

namespace consilium::extraction {
namespace {

namespace fs = std::filesystem;
namespace dicom = engine::dicom;
using dicom::Rectangle, dicom::WrittenFile, dicom::WrittenStructureSet;
using engine::Grid, engine::PlacedImage;
using testing_support::ScratchFolder;

const Grid kGrid{{16, 14, 10}, {0.9, 1.1, 2}};
constexpr const char* kSettings =
    "imageType:\n  Original: {}\n  LoG: {sigma: [2]}\nsetting:\n  binWidth: 1\n";

// How a case is told of: why it has no row, what is doubtful about its row, or not at all.
enum class Told { kFailure, kWarning, kNothing };

struct BadCase {
  Told told = Told::kFailure;
  std::vector<std::string> words;  // found, expected, next step
};

// Files of a hospital's folder, and the list over them.
class Hospital {
 public:
  Hospital() {
    scratch_.Write("settings.yaml", kSettings);
    scratch_.Write("image.nii", Nifti(Texture(kGrid)));
    scratch_.Write("mask.nii", Nifti(Ellipsoid(kGrid)));
  }
  [[nodiscard]] const ScratchFolder& scratch() const { return scratch_; }
  [[nodiscard]] const std::map<std::string, BadCase>& cases() const { return cases_; }
  [[nodiscard]] const std::string& list() const { return list_; }

  struct Paths {
    std::string image = "image.nii", mask = "mask.nii", label = {}, roi = {};
  };
  void Add(const std::string& id, const Paths& paths, Told told, std::vector<std::string> words) {
    list_ += fmt::format("{},{},{},{},{}\n", id, paths.image, paths.mask, paths.label, paths.roi);
    cases_[id] = {told, std::move(words)};
  }
  void BadImage(const std::string& id, std::string_view bytes, std::vector<std::string> words,
                Told told = Told::kFailure) {
    scratch_.Write(Named(id), bytes);
    Add(id, {.image = Named(id)}, told, std::move(words));
  }
  void BadMask(const std::string& id, std::string_view bytes, std::vector<std::string> words,
               Told told = Told::kFailure) {
    scratch_.Write(Named(id), bytes);
    Add(id, {.mask = Named(id)}, told, std::move(words));
  }
  [[nodiscard]] fs::path Folder(const std::string& name) const {
    fs::create_directories(scratch_.path() / name);
    return scratch_.path() / name;
  }

 private:
  static std::string Named(const std::string& id) {
    return id.find('.') == std::string::npos ? id + ".nii" : id;
  }

  ScratchFolder scratch_;
  std::map<std::string, BadCase> cases_;
  std::string list_ = "id,image,mask,label,roi\n";
};

std::string Packed(const ScratchFolder& scratch, const std::string& bytes) {
  const auto path = scratch.path() / "packed";
  const gzFile file = ::gzopen(path.c_str(), "wb");
  EXPECT_EQ(::gzwrite(file, bytes.data(), static_cast<unsigned>(bytes.size())),
            static_cast<int>(bytes.size()));
  ::gzclose(file);
  return scratch.Read("packed");
}

PlacedImage With(PlacedImage placed, std::initializer_list<std::array<int, 3>> voxels,
                 double value) {
  for (const auto& [x, y, z] : voxels)
    placed.image.values.Doubles()[placed.image.grid.Index(x, y, z)] = value;
  return placed;
}

PlacedImage Moved(PlacedImage placed, double mm) {
  placed.place.origin_mm[0] += mm;
  return placed;
}

void AddMasks(Hospital& hospital) {
  const PlacedImage mask = Ellipsoid(kGrid), none = Made(kGrid, [](int, int, int) { return 0; });
  hospital.BadMask("empty", Nifti(none), {"is empty", "draw the region"});
  hospital.BadMask("voxel", Nifti(With(none, {{8, 7, 5}}, 1)), {"one voxel", "draw it larger"});
  hospital.BadMask("two_voxels", Nifti(With(none, {{8, 7, 5}, {9, 7, 5}}, 1)),
                   {"along 1 axes", "expected 2", "draw it larger"});
  hospital.BadMask("elsewhere", Nifti(Moved(mask, 500)),
                   {"no voxel of the region comes to lie in the image", "first at (468.5",
                    "first at (-31.5", "give the image that it was drawn on"});
  hospital.BadMask("cut_out", Nifti(Ellipsoid({{16, 14, 8}, kGrid.spacing_mm})),
                   {"differs from the image's in size", "16 x 14 x 8", "16 x 14 x 10"},
                   Told::kWarning);
  hospital.BadMask("half_a_voxel", Nifti(Moved(mask, 0.45)),
                   {"differs from the image's in origin", "nearest voxel"}, Told::kWarning);
  hospital.BadMask("rounded", Nifti(Moved(mask, 9e-6)), {}, Told::kNothing);

  PlacedImage turned = Made({{14, 16, 10}, {1.1, 0.9, 2}}, [&](int x, int y, int z) {
    return mask.image.values[kGrid.Index(y, x, z)];
  });
  std::swap(turned.place.direction[0], turned.place.direction[1]);
  hospital.BadMask("turned", Nifti(turned),
                   {"differs from the image's in size, spacing, direction"}, Told::kWarning);
  PlacedImage flipped = Made(
      kGrid, [&](int x, int y, int z) { return mask.image.values[kGrid.Index(15 - x, y, z)]; });
  flipped.place.direction[0] = {-1, 0, 0};
  flipped.place.origin_mm[0] += 15 * 0.9;
  hospital.BadMask("flipped", Nifti(flipped),
                   {"differs from the image's in origin, direction", "nearest voxel"},
                   Told::kWarning);
  PlacedImage fine = Ellipsoid({{32, 28, 10}, {0.45, 0.55, 2}});
  fine.place.origin_mm = {-31.5 - 0.225, 20.25 - 0.275, 7};
  hospital.BadMask("finer", Nifti(fine), {"differs from the image's in size, spacing, origin"},
                   Told::kWarning);
  PlacedImage fractions = mask;
  for (double& value : fractions.image.values.Doubles()) value *= 0.5;
  hospital.BadMask("fractions", Nifti(fractions),
                   {"not whole", "no label map", "do not interpolate"});
  hospital.BadMask("nan_mask", Nifti(With(mask, {{0, 0, 0}}, std::nan(""))), {"not whole"});
  hospital.Add("label_absent", {.label = "7"}, Told::kFailure,
               {"has no label 7", "it has 1", "column 'label'"});
  hospital.Add("label_large", {.label = "999999999"}, Told::kFailure,
               {"has no label 999999999", "it has 1"});
  hospital.Add("roi_of_numbers", {.roi = "GTV"}, Told::kFailure,
               {"label map without names", "column 'label' instead of 'roi'"});
  hospital.Add("image_as_mask", {.mask = "image.nii", .label = "200"}, Told::kFailure,
               {"has no label 200", "an image instead of a mask?"});
}

void AddImages(Hospital& hospital) {
  const PlacedImage image = Texture(kGrid);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInf = std::numeric_limits<double>::infinity();
  hospital.BadImage("flat", Nifti(Made(kGrid, [](int, int, int) { return 5; })),
                    {"all intensities in the region are equal", "is it the right image?"});
  const char* inside = "voxels have no finite number in the image";
  hospital.BadImage("nan_inside", Nifti(With(image, {{8, 7, 5}}, kNan)),
                    {"1 of the region's", inside, "repair the image"});
  hospital.BadImage("nan_inside.nrrd", Nrrd(With(image, {{8, 7, 5}}, kNan)),
                    {inside, "repair the image"});
  hospital.BadImage("infinite_inside", Nifti(With(image, {{8, 7, 5}, {7, 7, 5}}, -kInf)),
                    {"2 of the region's", inside});
  for (const auto& [id, bytes] :
       {std::pair("nan_outside.nii", Nifti(With(image, {{0, 0, 0}}, kNan))),
        std::pair("nan_outside.nrrd", Nrrd(With(image, {{0, 0, 0}}, kNan)))})
    hospital.BadImage(id, bytes, {"1 voxels of the image", "taken as 0"}, Told::kWarning);

  const ScratchFolder& scratch = hospital.scratch();
  for (const auto& [name, grid] : {std::pair("one_slice", Grid{{16, 14, 1}, {0.9, 1.1, 2}}),
                                   std::pair("one_voxel", Grid{{1, 1, 1}, {0.9, 1.1, 2}})}) {
    scratch.Write(std::string(name) + ".nii", Nifti(Texture(grid)));
    scratch.Write(std::string(name) + "_mask.nii", Nifti(Ellipsoid(grid)));
  }
  hospital.Add("one_slice", {.image = "one_slice.nii", .mask = "one_slice_mask.nii"},
               Told::kWarning, {"16 x 14 x 1 voxels is too small for it"});
  hospital.Add("one_voxel", {.image = "one_voxel.nii", .mask = "one_voxel_mask.nii"},
               Told::kFailure, {"one voxel", "draw it larger"});
}

// Copies of a good file, changed byte by byte.
void AddFiles(Hospital& hospital) {
  const std::string good = Nifti(Texture(kGrid)), nrrd = Nrrd(Texture(kGrid));
  const auto changed = [&](std::size_t at, auto number) {
    std::string bytes = good;
    PutAt(bytes, at, number);
    return bytes;
  };
  hospital.BadImage("cut.nii", good.substr(0, good.size() / 2),
                    {"8960 bytes of voxels", "4656 bytes in all", "copy it again"});
  hospital.BadImage("cut_header.nii", good.substr(0, 100), {"is no NIfTI", "convert it"});
  const std::string packed = Packed(hospital.scratch(), good);
  hospital.BadImage("packed.nii.gz", packed, {}, Told::kNothing);
  hospital.BadImage("cut.nii.gz", packed.substr(0, packed.size() / 2),
                    {"ends or is damaged", "of 8960 bytes", "copy it again"});
  for (const auto& [id, bytes] : {std::pair("called.bin", good), std::pair("unpacked.nii", packed)})
    hospital.BadImage(id, bytes, {"is a NIfTI file without its name", "call it .nii"});
  std::string rotten = packed;
  rotten[rotten.size() - 6] = static_cast<char>(rotten[rotten.size() - 6] ^ 1);  // of the checksum
  hospital.BadImage("rotten.nii.gz", rotten, {"ends or is damaged", "copy it again"});
  hospital.BadImage("cut.nrrd", nrrd.substr(0, nrrd.size() / 2), {"cut short", "copy it again"});
  hospital.BadImage("detached.nhdr", Nrrd({{kGrid, {}}, {}}, "data file: gone.raw\n"),
                    {"without its data file", "gone.raw", "copy it again"});
  const std::string meta = Meta(Texture(kGrid));
  hospital.BadImage("whole.mha", meta, {}, Told::kNothing);
  hospital.BadImage("cut.mha", meta.substr(0, meta.size() - 3), {"cut short", "copy it again"});
  hospital.BadImage("zero.nii", "", {"is no NIfTI", "convert it"});
  hospital.BadImage("zero.nii.gz", "", {"is no NIfTI", "convert it"});
  hospital.BadImage("text.nii", std::string(1000, 'a'), {"is no NIfTI", "convert it"});
  hospital.BadImage("picture.nii", "\x89PNG\r\n\x1a\n" + std::string(1000, '\1'),
                    {"is no NIfTI", "convert it"});
  std::string four = changed(40, std::int16_t{4}) + good.substr(352);
  PutAt(four, 48, std::int16_t{2});
  hospital.BadImage("four_axes.nii", four, {"has 2 volumes", "expected one", "split it"});
  std::string colours = changed(70, std::int16_t{128});
  PutAt(colours, 72, std::int16_t{24});
  hospital.BadImage("colours.nii", colours, {"has 3 numbers a voxel", "expected one"});
  std::string vectors = changed(40, std::int16_t{5}) + good.substr(352) + good.substr(352);
  PutAt(vectors, 50, std::int16_t{3});
  PutAt(vectors, 68, std::int16_t{1007});
  hospital.BadImage("vectors.nii", vectors, {"has 3 numbers a voxel", "expected one"});
  hospital.BadImage(
      "zero_spacing.nii", changed(84, 0.0F),
      {"voxel size (pixdim[2]) of 0 mm", "expected a number > 0", "correct the header"});
  hospital.BadImage("negative_spacing.nii", changed(84, -1.1F),
                    {"of -1.1 mm", "expected a number > 0", "correct the header"});
  hospital.BadImage("nan_spacing.nii", changed(80, std::nanf("")),
                    {"pixdim[1]", "nan", "expected a number > 0"});
  hospital.BadImage("nan_origin.nii", changed(292, std::nanf("")),
                    {"not finite", "(sform)", "correct the header"});
  hospital.BadImage("sheared.nii", changed(284, 0.7F), {"not at right angles", "resample it"});
  hospital.BadImage("no_size.nii", changed(42, std::int16_t{-16}), {"dim[1] = -16", "expected 1"});
  std::string giant = changed(42, std::int16_t{32767});
  PutAt(giant, 44, std::int16_t{32767});
  PutAt(giant, 46, std::int16_t{32767});
  hospital.BadImage("giant.nii", giant, {"bytes of voxels", "9312 bytes in all", "copy it again"});
  hospital.BadImage("giant.nii.gz", Packed(hospital.scratch(), giant),
                    {"bytes of voxels", "bytes in all", "copy it again"});
  std::string giant_nrrd = nrrd;
  giant_nrrd.replace(giant_nrrd.find("16 14 10"), 8, "90000 90000 90000");
  hospital.BadImage("giant.nrrd", giant_nrrd, {"90000 x 90000 x 90000", "copy it again"});

  const ScratchFolder& scratch = hospital.scratch();
  hospital.Add("no_image", {.image = "nowhere.nii"}, Told::kFailure,
               {"nowhere.nii", "no such file", "column 'image'"});
  hospital.Add("no_mask", {.mask = "nowhere.nii"}, Told::kFailure,
               {"nowhere.nii", "no such file", "column 'mask'"});
  ASSERT_EQ(::mkfifo((scratch.path() / "pipe").c_str(), 0600), 0);
  hospital.Add("pipe", {.image = "pipe"}, Told::kFailure, {"a pipe", "column 'image'"});
  fs::create_symlink("circle", scratch.path() / "circle");
  hospital.Add("circle", {.image = "circle"}, Told::kFailure, {"symbolic links", "column 'image'"});
  if (::geteuid() != 0) {
    hospital.BadImage("locked.nii", good, {"cannot be read", "rights"});
    ASSERT_EQ(::chmod((scratch.path() / "locked.nii").c_str(), 0), 0);
  }
  fs::create_directory(scratch.path() / "papers");
  scratch.Write("papers/readme.txt", "no image\n");
  hospital.Add("papers", {.image = "papers"}, Told::kFailure,
               {"holds no DICOM image", "1 files are no DICOM", "column 'image'"});
  hospital.Add("papers_as_mask", {.mask = "papers"}, Told::kFailure,
               {"0 structure sets", "expected one", "column 'mask'"});
}

constexpr int kSlices = 6;

// Slices of one series; `change` makes of each what a case is about.
template <typename Change>
std::string Series(const Hospital& hospital, const std::string& name, const Change& change) {
  const fs::path folder = hospital.Folder(name);
  for (int z = 0; z < kSlices; ++z) {
    WrittenFile file(z);
    change(file, z);
    file.Save(folder / fmt::format("{}.dcm", z));
  }
  return name;
}

void AddSeries(Hospital& hospital) {
  const auto good = [](WrittenFile&, int) {};
  Series(hospital, "ct", good);
  const auto drawn = [](int slices) {
    std::vector<dicom::Drawn> contours;
    for (int z = 1; z <= slices; ++z) contours.push_back(Rectangle(z, 0.5, 0.5, 4.5, 3.5));
    return contours;
  };
  const ScratchFolder& scratch = hospital.scratch();
  const auto add = [&](const std::string& id, std::vector<std::string> words,
                       Told told = Told::kFailure) {
    hospital.Add(id, {.image = id, .mask = "rs.dcm"}, told, std::move(words));
  };
  WrittenStructureSet().Add("GTV", drawn(3)).file().Save(scratch.path() / "rs.dcm");
  hospital.Add("good_dicom", {.image = "ct", .mask = "rs.dcm"}, Told::kNothing, {});

  Series(hospital, "missing", good);
  fs::remove(scratch.path() / "missing/3.dcm");
  add("missing", {"1 slices are missing", "copy the series again"});
  Series(hospital, "doubled", good);
  WrittenFile(2).Set(DCM_SOPInstanceUID, "1.2.3.99").Save(scratch.path() / "doubled/again.dcm");
  add("doubled", {"1 slices are there twice"}, Told::kWarning);
  Series(hospital, "contradiction", good);
  WrittenFile other(2);
  other.SetPixels(std::vector<int>(dicom::kWide * dicom::kHigh, 7));
  other.Save(scratch.path() / "contradiction/again.dcm");
  add("contradiction", {"same position with other pixels", "keep the one"});
  Series(hospital, "uneven",
         [](WrittenFile& file, int z) { file.SetPosition(0, 0, z == 3 ? 3.3 : z); });
  add("uneven", {"beside even places", "choose another reconstruction"});
  Series(hospital, "tilted", [](WrittenFile& file, int z) { file.SetPosition(0.4 * z, 0, z); });
  add("tilted", {"shifted against each other", "resample the series"});
  Series(hospital, "sizes", [](WrittenFile& file, int z) {
    if (z == 5) file.SetNumber(DCM_Rows, dicom::kHigh - 1);
  });
  add("sizes", {"holds 2 series", "column 'series'"});
  Series(hospital, "two_series", [](WrittenFile& file, int z) {
    if (z > 2) file.Set(DCM_SeriesInstanceUID, "1.2.3.77");
  });
  add("two_series", {"holds 2 series", "1.2.3.77", "column 'series'"});
  Series(hospital, "no_spacing", [](WrittenFile& file, int) { file.Remove(DCM_PixelSpacing); });
  add("no_spacing", {"no PixelSpacing (0028,0030)", "correct the header"});
  for (const auto& [id, left] : {std::pair("cut_pixels", -20), std::pair("cut_header", 400)}) {
    Series(hospital, id, good);
    const auto path = scratch.path() / id / "5.dcm";
    const auto size = static_cast<int>(fs::file_size(path));
    fs::resize_file(path, static_cast<std::uintmax_t>(left < 0 ? size + left : left));
  }
  add("cut_pixels", {"5.dcm", "damaged or cut short", "copy it again"});
  add("cut_header", {"left out", "5.dcm", "damaged or cut short"}, Told::kWarning);
}

void AddDrawings(Hospital& hospital) {
  const ScratchFolder& scratch = hospital.scratch();
  const auto add = [&](const std::string& id, WrittenFile& file, std::vector<std::string> words,
                       const std::string& roi = "") {
    file.Save(scratch.path() / id);
    hospital.Add(id, {.image = "ct", .mask = id, .roi = roi}, Told::kFailure, std::move(words));
  };
  const auto drawn = Rectangle(2, 0.5, 0.5, 4.5, 3.5);
  hospital.Add("numbers_of_names", {.image = "ct", .mask = "rs.dcm", .label = "1"}, Told::kFailure,
               {"has names instead of numbers", "column 'roi'"});
  hospital.Add("roi_absent", {.image = "ct", .mask = "rs.dcm", .roi = "Liver"}, Told::kFailure,
               {"no region is called 'Liver'", "there are: GTV"});
  hospital.Add("series_as_mask", {.image = "ct", .mask = "ct"}, Told::kFailure,
               {"0 structure sets", "1 series of images, which are no masks", "column 'mask'"});
  add("two_rois", WrittenStructureSet().Add("GTV", {drawn}).Add("Lung", {drawn}).file(),
      {"has 2 regions: GTV, Lung", "column 'roi'"});
  WrittenStructureSet other;
  DcmItem& frame = dicom::Item(other.file().data(), DCM_ReferencedFrameOfReferenceSequence, 0);
  dicom::Put(frame, DCM_FrameOfReferenceUID, "1.9.1");
  dicom::Put(dicom::Item(dicom::Item(frame, DCM_RTReferencedStudySequence, 0),
                         DCM_RTReferencedSeriesSequence, 0),
             DCM_SeriesInstanceUID, "1.9.2");
  dicom::Put(dicom::Item(other.Add("GTV", {drawn}).file().data(), DCM_StructureSetROISequence, 0),
             DCM_ReferencedFrameOfReferenceUID, "1.9.1");
  add("other_frame", other.file(),
      {"drawn on series '1.9.2'", "the image is series '1.2.3.1'", "drawn on"});
  add("open", WrittenStructureSet().Add("GTV", {{"OPEN_PLANAR", drawn.points}}).file(),
      {"no closed contour", "1 open contours", "draw it again"});
  add("outside", WrittenStructureSet().Add("GTV", {Rectangle(2, 99, 99, 110, 110)}).file(),
      {"holds no voxel of the image", "give the image that it was drawn on"});
  add("cut_drawing", WrittenStructureSet().Add("GTV", {drawn}).file(),
      {"damaged or cut short", "copy it again"});
  fs::resize_file(scratch.path() / "cut_drawing", 700);
  const Grid grid{{dicom::kWide, dicom::kHigh, kSlices}, dicom::kOneSlice.spacing_mm};
  WrittenFile segmentation = dicom::LabelMap(grid, std::vector<int>(grid.voxel_count(), 1));
  segmentation.Set(DCM_FrameOfReferenceUID, "1.9.1");
  add("other_segmentation", segmentation, {"'1.9.1'", "give the image that it was drawn on"},
      "Tumour");
}

// Without the scratch folder, whose name could be anything.
std::string Shown(const ScratchFolder& scratch, const std::multimap<std::string, Row>& problems,
                  const std::string& id) {
  std::string text;
  const auto [begin, end] = problems.equal_range(id);
  for (auto row = begin; row != end; ++row)
    text += row->second.at("kind") + ": " + row->second.at("message") + "\n";
  const std::string folder = scratch.path().string() + "/";
  for (auto at = text.find(folder); at != std::string::npos; at = text.find(folder))
    text.erase(at, folder.size());
  return text.empty() ? "nothing is told\n" : text;
}

TEST(Batch, GoesOnWhateverTheInputAndTellsOfEachCaseWhatToDo) {
  Hospital hospital;
  const ScratchFolder& scratch = hospital.scratch();
  AddMasks(hospital);
  AddImages(hospital);
  AddFiles(hospital);
  hospital.Add("good", {}, Told::kNothing, {});
  AddSeries(hospital);
  AddDrawings(hospital);
  ASSERT_GE(hospital.cases().size(), 40U);
  scratch.Write("cases.csv", hospital.list());
  scratch.Write("alone.csv", "id,image,mask\ngood,image.nii,mask.nii\n");

  const auto alone =
      Extract(scratch, {"alone.csv", "--settings", "settings.yaml", "--out", "alone"});
  ASSERT_EQ(alone.exit_code, 0) << alone.said;
  const auto all = Extract(scratch, {"cases.csv", "--settings", "settings.yaml", "--out", "all",
                                     "--case-seconds", "60"});
  EXPECT_EQ(all.exit_code, 1) << all.said;
  const auto rows = RowsBy("id", scratch.Read("all/features.csv"));
  const auto problems = RowsBy("id", scratch.Read("all/problems.csv"));
  for (const auto& [id, bad] : hospital.cases()) {
    const std::string told = Shown(scratch, problems, id);
    SCOPED_TRACE(id + "\n" + told);
    EXPECT_EQ(rows.contains(id), bad.told != Told::kFailure);
    EXPECT_EQ(told.find("failure") != std::string::npos, bad.told == Told::kFailure);
    for (const std::string& word : bad.words) EXPECT_NE(told.find(word), std::string::npos) << word;
    EXPECT_EQ(told == "nothing is told\n", bad.told == Told::kNothing);
    for (const char* noise : {"itk", "ITK", "nrrd]", "0x", "signal", "std::", "exit code"})
      EXPECT_EQ(told.find(noise), std::string::npos) << noise;
  }
  const auto expected = RowsBy("id", scratch.Read("alone/features.csv"));
  ASSERT_TRUE(expected.contains("good") && rows.contains("good"));
  const Row good = rows.find("good")->second;
  EXPECT_GT(expected.find("good")->second.size(), 200U);
  for (const auto& [column, cell] : expected.find("good")->second)
    EXPECT_EQ(good.at(column), cell) << column;
  // Of voxels outside the region only what reaches them is changed.
  const Row outside = rows.find("nan_outside.nii")->second;
  EXPECT_EQ(outside.at("original_glcm_Contrast"), good.at("original_glcm_Contrast"));
}

struct Refusal {
  std::string name, text;
  std::vector<std::string> words;
};

TEST(Batch, IsRefusedBeforeItBeginsWhereItsListOrSettingsAreWrong) {
  const Hospital hospital;
  const ScratchFolder& scratch = hospital.scratch();
  scratch.Write("cases.csv", "id,image,mask\ngood,image.nii,mask.nii\n");
  for (const Refusal& wrong : std::vector<Refusal>{
           {"twice.csv",
            "id,image,mask\na,image.nii,mask.nii\na,image.nii,mask.nii\n",
            {"twice.csv:3", "'id' repeats that of line 2", "give every image its own"}},
           {"label.csv",
            "id,image,mask,label\na,image.nii,mask.nii,0\n",
            {"label.csv:2", "'label'", "whole numbers from 1"}},
           {"long.csv",
            "id,image,mask,label\na,image.nii,mask.nii,99999999999999999999\n",
            {"long.csv:2", "'label'", "whole numbers from 1"}},
           {"both.csv",
            "id,image,mask,label,roi\na,image.nii,mask.nii,1,GTV\n",
            {"both.csv:2", "'label' and 'roi' are both given"}},
           {"key.yaml",
            "imageType: {Original: {}}\nsetting: {binWdith: 25}\n",
            {"key.yaml:2", "binWdith", "binWidth"}},
           {"width.yaml", "setting: {binWidth: -1}\n", {"width.yaml:1", "binWidth"}}}) {
    SCOPED_TRACE(wrong.name);
    scratch.Write(wrong.name, wrong.text);
    const bool is_list = wrong.name.ends_with(".csv");
    const auto ended = Extract(scratch, {is_list ? wrong.name : "cases.csv", "--settings",
                                         is_list ? "settings.yaml" : wrong.name, "--out", "out"});
    EXPECT_EQ(ended.exit_code, 3);
    for (const auto& word : wrong.words)
      EXPECT_NE(ended.said.find(word), std::string::npos) << word << "\n" << ended.said;
    EXPECT_FALSE(scratch.Has("out/features.csv"));
  }
}

// Settings that no image can follow, and limits that one case of two exceeds.
TEST(Batch, TellsWhichSettingOrLimitACaseCannotMeet) {
  const Hospital hospital;
  const ScratchFolder& scratch = hospital.scratch();
  scratch.Write("flat.nii", Nifti(Made(kGrid, [](int, int, int) { return 5; })));
  // 125 million voxels of zeros, in a file with a hole; in memory each has 8 bytes.
  std::string large = Nifti(Texture({{1, 1, 1}, kGrid.spacing_mm}));
  for (const std::size_t at : {42U, 44U, 46U}) PutAt(large, at, std::int16_t{500});
  PutAt(large, 70, std::int16_t{2});
  PutAt(large, 72, std::int16_t{8});
  scratch.Write("large.nii", large);
  fs::resize_file(scratch.path() / "large.nii", 352 + std::uintmax_t{500} * 500 * 500);

  struct Limit {
    std::string bad_image, bad_mask, settings;
    std::vector<std::string> options, words;
    bool good_is_done = true;
  };
  for (const Limit& limit : std::vector<Limit>{
           {"image.nii",
            "mask.nii",
            "setting: {binWidth: 1.0e-6}\n",
            {},
            {"grey levels", "at most 65535", "widen the bins"},
            false},
           {"flat.nii",
            "mask.nii",
            "setting: {normalize: true}\n",
            {},
            {"all intensities in the region are equal"}},
           {"flat.nii",
            "mask.nii",
            "format: 1\npreprocessing: [standard_score]\npyradiomics: {setting: {binWidth: 0.1}}\n",
            {},
            {"standard_score", "do not vary"}},
           {"image.nii",
            "mask.nii",
            "setting: {resampledPixelSpacing: [0.001, 0.001, 0.001]}\n",
            {},
            {"voxels of 0.001 x 0.001 x 0.001 mm", "more than 2^31", "take larger ones"},
            false},
           {"large.nii",
            "mask.nii",
            kSettings,
            {"--memory-mb", "400"},
            {"needs more memory", "--memory-mb"}}}) {
    SCOPED_TRACE(limit.bad_image + " " + limit.settings);
    scratch.Write("limit.yaml", limit.settings);
    scratch.Write("cases.csv", fmt::format("id,image,mask\nbad,{},{}\ngood,image.nii,mask.nii\n",
                                           limit.bad_image, limit.bad_mask));
    fs::remove_all(scratch.path() / "out");
    std::vector<std::string> arguments = {"cases.csv", "--settings", "limit.yaml", "--out", "out"};
    arguments.insert(arguments.end(), limit.options.begin(), limit.options.end());
    const auto ended = Extract(scratch, arguments);
    EXPECT_EQ(ended.exit_code, 1) << ended.said;
    const std::string told = Shown(scratch, RowsBy("id", scratch.Read("out/problems.csv")), "bad");
    for (const auto& word : limit.words) EXPECT_NE(told.find(word), std::string::npos) << told;
    const auto rows = RowsBy("id", scratch.Read("out/features.csv"));
    EXPECT_FALSE(rows.contains("bad"));
    EXPECT_EQ(rows.contains("good"), limit.good_is_done);
  }
}

TEST(Batch, TellsOfTooFewGreyLevelsInBothDialects) {
  const ScratchFolder scratch;
  scratch.Write("image.nii", Nifti(Texture(kGrid)));
  scratch.Write("mask.nii", Nifti(Ellipsoid(kGrid)));
  scratch.Write("cases.csv", "id,image,mask\none,image.nii,mask.nii\n");
  std::set<std::string> told;
  for (const std::string settings :
       {"setting: {binCount: 4}\n", "format: 1\nibsi: {bins: {count: 4}}\n"}) {
    scratch.Write("few.yaml", settings);
    fs::remove_all(scratch.path() / "out");
    const auto ended = Extract(scratch, {"cases.csv", "--settings", "few.yaml", "--out", "out"});
    EXPECT_EQ(ended.exit_code, 0) << ended.said;
    told.insert(Shown(scratch, RowsBy("id", scratch.Read("out/problems.csv")), "one"));
  }
  ASSERT_EQ(told.size(), 1U) << *told.begin() << *told.rbegin();
  EXPECT_NE(told.begin()->find("original: the region has 4 different grey levels, expected 8"),
            std::string::npos)
      << *told.begin();
}

}  // namespace
}  // namespace consilium::extraction
