#include "extraction/case_list.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace consilium::extraction {
namespace {

TEST(CaseList, ColumnsAreReadByNameAndOthersAreCarriedThrough) {
  const auto list = ReadCaseList(
      "mask,age,id,image,label,sequence,patient\n"
      "m.nii,61,a1,t1.nii, 1; 3 ,T1,A\n"
      "m.nii,61,a2,/x/t2.nii,all,T2,A\n",
      "cases.csv", "/data");
  ASSERT_TRUE(list.has_value()) << list.error().message;
  ASSERT_EQ(list->cases.size(), 2U);
  EXPECT_EQ(list->variables, std::vector<std::string>{"age"});
  const Case& first = list->cases[0];
  EXPECT_EQ(first.id, "a1");
  EXPECT_EQ(first.patient, "A");
  EXPECT_EQ(first.image, "/data/t1.nii");
  EXPECT_EQ(first.labels, (std::vector<std::string>{"1", "3"}));
  EXPECT_EQ(first.facets[0], "T1");
  EXPECT_EQ(first.variables, std::vector<std::string>{"61"});
  EXPECT_EQ(list->cases[1].image, "/x/t2.nii");
}

TEST(CaseList, FacetsAreOrderedAsNumbersBeforeWords) {
  std::vector<std::string> values = {"b", "1a", "10", "9", "09", "-1", "a"};
  std::sort(values.begin(), values.end(), FacetBefore);
  EXPECT_EQ(values, (std::vector<std::string>{"-1", "09", "9", "10", "1a", "a", "b"}));
}

TEST(CaseList, EveryProblemIsToldWithItsLine) {
  const auto list = ReadCaseList(
      "id,image,mask,label,roi\n"
      "a,i.nii,m.nii,1.5,\n"
      "a,i.nii,,,\n"
      ",i.nii,m.nii,2,GTV\n",
      "cases.csv", ".");
  ASSERT_FALSE(list.has_value());
  for (const char* part : {"cases.csv:2: field 'label'", "cases.csv:3: field 'id' repeats",
                           "cases.csv:3: field 'mask' is empty", "cases.csv:4: field 'id' is empty",
                           "cases.csv:4: fields 'label' and 'roi'"})
    EXPECT_NE(list.error().message.find(part), std::string::npos) << list.error().message;
}

TEST(CaseList, AMissingColumnIsNamedWithItsNearest) {
  const auto list = ReadCaseList("id,imge,mask\n", "cases.csv", ".");
  ASSERT_FALSE(list.has_value());
  EXPECT_NE(list.error().message.find("'image' (did you mean 'imge'?)"), std::string::npos)
      << list.error().message;
  EXPECT_FALSE(ReadCaseList("id,image,mask\n", "cases.csv", ".").has_value());
}

}  // namespace
}  // namespace consilium::extraction
